//! Runs as things that one can name, list, and keep.

use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Project, sorted};

const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: images, size: 32, split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
";

fn project() -> Project {
    let project = Project::with_images(4);
    project.write("small.yaml", PIPELINE).write("other.yaml", &PIPELINE.replace("name: small", "name: other"));
    project
}

/// What a command prints, with `ID`, `WHEN` and `TIME` for what differs from run to run.
fn told(project: &Project, arguments: &[&str]) -> String {
    let output = project.packtrain(arguments);
    assert_eq!(output.code, 0, "{}", output.stderr);
    without_times(&output.stdout)
}

fn without_times(text: &str) -> String {
    let replaced = [(r"\d{8}T\d{6}-\d+", "ID"), (r"\d{4}-\d\d-\d\d \d\d:\d\d", "WHEN"), (r"\b[0-9.]+ m?s\b", "TIME"), ("   +", "  ")];
    replaced.into_iter().fold(text.to_owned(), |text, (from, to)| Regex::new(from).unwrap().replace_all(&text, to).into_owned())
}

/// What standard error says of a command line that is wrong.
fn refused(project: &Project, arguments: &[&str]) -> String {
    let output = project.packtrain(arguments);
    assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
    without_times(&output.stderr)
}

/// The records of all runs, in no order.
fn records(project: &Project) -> Vec<Value> {
    let paths = sorted(&project.path(".packtrain/runs"));
    paths.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn the_history_lists_runs_with_what_ran_and_what_they_are_called() {
    let project = project();
    assert_eq!(told(&project, &["history"]), "no runs\n");
    project.run(&["small.yaml", "--name", "baseline", "--tag", "paper", "--tag", "draft"]);
    project.run(&["other.yaml"]);
    project.edit("small.yaml", "images: pack.train", "images: pack.val");
    project.run(&["small.yaml"]);
    let expected = "\
run  when  pipeline  name  tags  outcome  stages  time
ID  WHEN  small  succeeded  1 of 2 ran  TIME
ID  WHEN  other  succeeded  2 reused  TIME
ID  WHEN  small  baseline  draft, paper  succeeded  2 of 2 ran  TIME
";
    assert_eq!(told(&project, &["history"]), expected);
    let of_small = "\
run  when  pipeline  outcome  stages  time
ID  WHEN  small  succeeded  1 of 2 ran  TIME
and 1 earlier; `--limit 2` lists all
";
    assert_eq!(told(&project, &["history", "small.yaml", "--limit", "1"]), of_small);
    assert_eq!(told(&project, &["history", "small", "-n1"]), of_small);
    assert_eq!(told(&project, &["history", "--tag", "paper"]).lines().count(), 2);
    assert_eq!(told(&project, &["history", "--tag", "paper", "--tag", "poster"]), "no runs\n");
    assert_eq!(told(&project, &["history", "--outcome", "failed"]), "no runs\n");
    let json: Value = serde_json::from_str(&project.packtrain(&["history", "--json", "--tag", "draft"]).stdout).unwrap();
    let parts = ["name", "tags", "pipeline", "outcome", "stages"].map(|key| json[0][key].clone());
    let tally = json!({ "ran": 2, "reused": 0, "failed": 0, "not-run": 0 });
    assert_eq!(parts, [json!("baseline"), json!(["draft", "paper"]), json!("small"), json!("succeeded"), tally]);
    assert!(refused(&project, &["history", "smal"]).starts_with("error: there is no run of `smal`; did you mean `small`?\nhint: "));
}

#[test]
fn a_run_that_has_ended_gets_a_name_and_tags_and_loses_them() {
    let project = project();
    project.run(&["small.yaml"]);
    project.run(&["small.yaml"]);
    assert_eq!(told(&project, &["name", "last~1", "first"]), "ID of small is now `first`\n");
    assert_eq!(told(&project, &["name", "first", "first"]), "ID of small is now `first`\n");
    assert_eq!(told(&project, &["name", "first", "older"]), "ID of small is now `older`\n");
    assert_eq!(told(&project, &["tag", "older", "a", "b"]), "ID of small has the tags a, b\n");
    assert_eq!(told(&project, &["tag", "older", "c", "a"]), "ID of small has the tags a, b, c\n");
    assert_eq!(told(&project, &["tag", "older", "--remove", "a", "c"]), "ID of small has the tags b\n");
    let id = project.packtrain(&["history"]).stdout.lines().nth(2).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(told(&project, &["name", &id, "--remove"]), "ID of small has no name\n");
    let (names, tags): (Vec<_>, Vec<_>) = records(&project).iter().map(|record| (record["name"].clone(), record["tags"].clone())).unzip();
    assert_eq!(names, [Value::Null, Value::Null]);
    assert!(tags.contains(&json!(["b"])) && tags.contains(&Value::Null), "{tags:?}");
}

#[test]
fn a_name_belongs_to_one_run_and_looks_like_nothing_else() {
    let project = project();
    project.run(&["small.yaml", "--name", "baseline"]);
    let taken = "error: the name `baseline` belongs to the run ID of small\n\
        hint: choose another name, or take it away from that run with `packtrain name RUN --remove`\n";
    assert_eq!(refused(&project, &["run", "other.yaml", "--name", "baseline"]), taken);
    assert_eq!(records(&project).len(), 1);
    project.run(&["other.yaml"]);
    assert_eq!(refused(&project, &["name", "last", "baseline"]), taken);
    assert!(refused(&project, &["name", "last", "last"]).contains("`last` cannot name a run, because it always means the one before now"));
    assert!(refused(&project, &["run", "small.yaml", "--name", "2026"]).contains("`2026` cannot name a run; use letters, digits, "));
    let unknown = refused(&project, &["tag", "basline", "good"]);
    let expected = "error: there is no run `basline`; did you mean `baseline`?\n\
        hint: a run is an id or the beginning of one, a name, `last` or `last~1`; `packtrain history` lists the runs\n";
    assert_eq!(unknown, expected);
    assert!(refused(&project, &["tag", "last~2", "good"]).starts_with("error: `last~2` goes too far back: the first run is `last~1`\n"));
}

#[test]
fn the_collection_leaves_what_a_run_with_a_name_used() {
    let project = project();
    project.run(&["small.yaml", "--name", "baseline"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let collect = |arguments: &[&str]| told(&project, &[&["cache", "gc", "--older-than", "0d"], arguments].concat());
    assert!(collect(&["--dry-run"]).starts_with("nothing to remove; "));
    let status = told(&project, &["cache", "status", "--older-than", "0d"]);
    assert!(status.contains("results of named runs  5 "), "{status}");
    assert!(collect(&["--max-size", "1K"]).ends_with("the rest are the latest results, those of named runs, and what belongs to them\n"));
    project.packtrain(&["name", "baseline", "--remove"]);
    let foretold = collect(&["--dry-run"]);
    assert!(foretold.contains("earlier results  5 "), "{foretold}");
    collect(&[]);
    project.edit("small.yaml", "size: 24", "size: 32");
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nmean ran\n");
}

#[test]
fn a_record_knows_the_machine_and_the_commit_that_it_was_made_from() {
    let project = project();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(project.path("")).args(["-c", "user.name=n", "-c", "user.email=e@example.com"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    git(&["init", "--quiet"]);
    git(&["add", "small.yaml", "other.yaml"]);
    git(&["commit", "--quiet", "-m", "one"]);
    let commit = git(&["rev-parse", "HEAD"]).trim().to_owned();
    project.run(&["small.yaml", "--name", "clean"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml", "--name", "edited"]);
    project.run(&["small.yaml", "--name", "nothing"]);
    let records = records(&project);
    let provenance = |name: &str| &records.iter().find(|record| record["name"] == name).unwrap()["provenance"];
    let git_of = |name: &str| ["git_commit", "git_dirty"].map(|key| provenance(name)[key].clone());
    assert_eq!(git_of("clean"), [json!(commit), json!(false)]);
    assert_eq!(git_of("edited"), [json!(commit), json!(true)]);
    assert_eq!(git_of("nothing"), [Value::Null, Value::Null]);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(provenance("nothing")["environment"]["cores"], json!(cores));
    assert!(provenance("nothing")["environment"]["kernel"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
}
