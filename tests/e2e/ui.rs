//! `packtrain ui`: asked over HTTP as a browser asks, while runs go on, end, and die.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Project, Running, sorted};

/// A server that runs, with its address.
pub struct Ui {
    pub running: Running,
    /// `http://127.0.0.1:PORT/…`
    pub url: String,
}

/// An answer over HTTP.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Ui {
    pub fn start(project: &Project, arguments: &[&str]) -> Ui {
        let mut running = project.listen(&[&["ui"], arguments].concat());
        let url = running.hear("http://");
        Ui { running, url }
    }

    /// `127.0.0.1:PORT`
    fn host(&self) -> &str {
        self.url.strip_prefix("http://").unwrap().split('/').next().unwrap()
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.host()))
    }

    fn ask(&self, request: &str) -> Answer {
        let mut text = String::new();
        self.send(request).read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The events of a stream as they come, each with its name.
    fn stream(&self, path: &str) -> impl Iterator<Item = (String, String)> + use<> {
        let stream = self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host()));
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        std::iter::from_fn(move || {
            let name = lines.find_map(|line| line.strip_prefix("event: ").map(str::to_owned))?;
            let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned))?;
            Some((name, data))
        })
    }
}

/// The parts that an event brings, by id.
fn parts(data: &str) -> Vec<(String, String)> {
    let parts: Value = serde_json::from_str(data).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    parts.as_array().unwrap().iter().map(|part| (text(&part["id"]), text(&part["html"]))).collect()
}

/// A project whose second stage says `waiting`, and ends when there is a file `go`.
fn waiting() -> Project {
    let project = Project::with_images(4);
    let wait = format!("echo waiting; until [ -e {} ]; do sleep 0.05; done; echo went on >{{outputs.out}}", project.path("go").display());
    let run = serde_json::to_string(&wait).unwrap();
    project.write(
        "small.yaml",
        &format!(
            "name: small\nstages:\n  pack: {{ kind: pack, images: images, size: 8 }}\n  wait:\n    kind: command\n    run: {run}\n    \
             inputs: {{ images: pack.train }}\n    outputs: {{ out: {{ file: out.txt }} }}\n"
        ),
    );
    project
}

fn logs(project: &Project) -> usize {
    sorted(&project.path(".packtrain/runs")).iter().filter(|path| path.extension().is_some_and(|extension| extension == "events")).count()
}

/// The page of the newest run is followed until this is in one of its parts.
fn follow_until(events: &mut impl Iterator<Item = (String, String)>, id: &str, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_it = |(name, data): (String, String)| name == "parts" && parts(&data).iter().any(|(own, html)| own == id && html.contains(text));
    assert!(events.take_while(|_| Instant::now() < deadline).any(is_it), "no part {id} with {text}");
}

#[test]
fn a_run_is_followed_while_it_goes_on_and_becomes_its_report() {
    let project = waiting();
    let (mut run, started) = project.run_until_line(&["small.yaml"], "waiting");
    let run_id = sorted(&project.path(".packtrain/runs"))[0].file_stem().unwrap().to_str().unwrap().to_owned();
    assert!(started.contains("\"wait\""), "{started}");
    let ui = Ui::start(&project, &["--port", "0"]);

    let list = ui.get("/");
    assert_eq!(list.status, 200);
    assert!(list.body.contains("● running") || list.body.contains(">running<"), "{}", list.body);
    assert!(list.body.contains(&format!("href=\"/run/{run_id}\"")));

    let page = ui.get(&format!("/run/{run_id}"));
    let part = |text: &str| assert!(page.body.contains(text), "{text}");
    part("● running</span>");
    part("pack (pack): ran in ");
    part("wait (command, after pack): running.");
    part("wait  waiting");
    part("Some of the images as they were packed, 8 × 8 pixels.");
    assert!(page.head.contains("content-security-policy: default-src 'none'; img-src data:; style-src 'sha256-"));
    assert!(page.head.contains("connect-src 'self'; frame-ancestors 'none'"));
    assert!(page.body.contains(&format!("data-stream=\"/run/{run_id}/events\"")));

    let mut events = ui.stream(&format!("/run/{run_id}/events"));
    follow_until(&mut events, "main", "at work");
    // Time goes on, and only what shows it is sent.
    let (name, data) = events.next().unwrap();
    let ids: Vec<String> = parts(&data).into_iter().map(|(id, _)| id).collect();
    assert_eq!((name.as_str(), ids.iter().all(|id| id == "head" || id == "now")), ("parts", true), "{ids:?}");

    project.write("go", "");
    follow_until(&mut events, "main", "wait (command, after pack): ran in ");
    let last = events.last().unwrap();
    assert_eq!(last.0, "over");
    assert!(run.wait().unwrap().success());
    assert_eq!(logs(&project), 0, "the record took the log's place");
    let page = ui.get("/run/last");
    assert!(page.body.contains("✓ finished") && !page.body.contains("data-stream"));
}

#[test]
fn a_run_whose_process_was_killed_is_shown_as_cut_off() {
    let project = waiting();
    let mut run = project.run_until(&["small.yaml"], "waiting");
    let ui = Ui::start(&project, &["--port", "0"]);
    let mut events = ui.stream("/events");
    follow_until(&mut events, "main", ">running<");
    let history = project.packtrain(&["history"]).stdout;
    assert!(history.contains("  running  ") && history.contains("1 of 2 ran, 1 not run"), "{history}");
    let id = history.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let named = project.packtrain(&["name", &id, "mine"]);
    assert_eq!(named.code, 2);
    assert!(named.stderr.contains(&format!("the run {id} of small goes on")), "{}", named.stderr);

    run.kill().unwrap();
    run.wait().unwrap();
    follow_until(&mut events, "main", ">cut off<");
    let page = ui.get(&format!("/run/{id}"));
    assert!(
        page.body.contains("did not come to its end") && page.body.contains("wait (command, after pack): was running."),
        "{}",
        page.body
    );
    let history: Value = serde_json::from_str(&project.packtrain(&["history", "--json"]).stdout).unwrap();
    assert_eq!((&history[0]["outcome"], &history[0]["running"]), (&Value::Null, &Value::Bool(false)));
    assert_eq!(project.packtrain(&["report", "last"]).code, 0);

    project.write("go", "");
    assert_eq!(logs(&project), 1);
    assert_eq!(project.run(&["small.yaml"]), "pack reused\nwait ran\n");
    assert_eq!(logs(&project), 0, "the next run that works has made a record of it");
    assert!(project.packtrain(&["history"]).stdout.contains("cut off"));
    assert_eq!(project.packtrain(&["name", &id, "mine"]).code, 0);
}

#[test]
fn a_run_with_nothing_to_do_writes_no_log() {
    let project = waiting();
    project.write("go", "");
    project.run(&["small.yaml"]);
    let mut run = project.listen(&["run", "small.yaml", "--json"]);
    run.hear("run-finished");
    assert_eq!(run.end().0, 0);
    let names: Vec<String> =
        sorted(&project.path(".packtrain/runs")).iter().map(|path| path.extension().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["json", "json"]);
}

#[test]
fn only_this_machine_is_answered_by_its_own_names() {
    let project = Project::new();
    let ui = Ui::start(&project, &["--port", "0"]);
    let port = ui.host().rsplit(':').next().unwrap().to_owned();
    let ask = |method: &str, host: &str, more: &str| {
        ui.ask(&format!("{method} / HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n")).status
    };
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(ask("GET", &format!("{host}:{port}"), ""), 200, "{host}");
        assert_eq!(ask("GET", &format!("{host}:{port}"), &format!("Origin: http://{host}:{port}\r\n")), 200, "{host}");
    }
    for host in ["evil.example", &format!("evil.example:{port}"), "localhost", "127.0.0.1:1"] {
        assert_eq!(ask("GET", host, ""), 403, "{host}");
    }
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(ask("GET", ui.host(), &format!("Origin: {origin}\r\n")), 403, "{origin}");
    }
    let stranger = ui.ask("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(stranger.body.contains("and not `evil.example`"), "{}", stranger.body);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(ask(method, ui.host(), "Content-Length: 0\r\n"), 405, "{method}");
    }
    let head = ui.ask(&format!("HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", ui.host()));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(ui.get("/").body.contains("There is no run yet."));
}

#[test]
fn what_is_not_there_is_not_found_and_nothing_is_changed_by_asking() {
    let project = waiting();
    project.write("go", "");
    project.run(&["small.yaml"]);
    let state = || {
        let files = walkdir::WalkDir::new(project.path(".packtrain")).sort_by_file_name().into_iter().map(Result::unwrap);
        files.map(|entry| (entry.path().to_owned(), entry.metadata().unwrap().modified().unwrap())).collect::<Vec<_>>()
    };
    let before = state();
    let ui = Ui::start(&project, &["--port", "0", "last"]);
    let id = ui.url.rsplit('/').next().unwrap().to_owned();
    assert_eq!(ui.get(&format!("/run/{id}")).status, 200);
    assert_eq!(ui.stream(&format!("/run/{id}/events")).last().unwrap().0, "over");
    for path in ["/nothing", "/run/nothing", "/run/nothing/events", "/run/..%2f..%2fsmall", "/run/%3Cscript%3E", "/run/"] {
        let answer = ui.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("<script>.") && answer.body.contains("There is no "), "{path}: {}", answer.body);
    }
    assert_eq!(state(), before);
    ui.running.interrupt();
    assert_eq!(ui.running.end().0, 0);
}

#[test]
fn where_the_usual_port_is_taken_another_one_is_found_and_where_one_is_asked_for_that_is_told() {
    let project = Project::new();
    let [first, second] = [Ui::start(&project, &[]), Ui::start(&project, &[])];
    assert_ne!(first.url, second.url);
    let port = second.host().rsplit(':').next().unwrap();
    let third = project.packtrain(&["ui", "--port", port]);
    assert_eq!(third.code, 4);
    assert!(third.stderr.starts_with(&format!("error: cannot listen on port {port} of this machine: ")), "{}", third.stderr);
    assert!(third.stderr.contains("hint: without `--port`"), "{}", third.stderr);
}

#[test]
fn more_readers_than_there_are_places_wait_for_one() {
    let project = Project::new();
    let ui = Ui::start(&project, &["--port", "0"]);
    let mut readers: Vec<TcpStream> = (0..64).map(|_| TcpStream::connect(ui.host()).unwrap()).collect();
    let late = ui.send(&format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", ui.host()));
    late.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    assert!((&late).read(&mut [0]).is_err(), "all places are taken");
    readers.clear();
    late.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = String::new();
    (&late).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn the_runs_of_one_manifest_are_listed_alone() {
    let project = waiting();
    project.write("go", "");
    project.run(&["small.yaml"]);
    let other = fs::read_to_string(project.path("small.yaml")).unwrap().replace("name: small", "name: other");
    project.write("other.yaml", &other);
    project.run(&["other.yaml"]);
    let ui = Ui::start(&project, &["other.yaml", "--port", "0"]);
    let page = ui.get("/").body;
    assert!(page.contains("Runs of other") && page.contains("<td>other</td>") && !page.contains("<td>small</td>"), "{page}");
}
