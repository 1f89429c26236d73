//! A project in a temporary folder, worked on through the built program as a user would.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use packtrain::cache::Cache;
use packtrain::key::Digest;
use rustix::process::{self, Pid, Signal};

/// A folder with images, a manifest, and its own cache.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What a command left.
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Project {
    /// An empty project.
    pub fn new() -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(".packtrain")).unwrap();
        Project { folder }
    }

    /// A project with `images/` in five classes, `each` images a class.
    pub fn with_images(each: usize) -> Project {
        let project = Project::new();
        let all = project.path("all");
        packtrain::demo::write_images(&all, 1).unwrap();
        for class in sorted(&all) {
            let target = project.path("images").join(class.file_name().unwrap());
            fs::create_dir_all(&target).unwrap();
            for image in sorted(&class).into_iter().take(each) {
                fs::copy(&image, target.join(image.file_name().unwrap())).unwrap();
            }
        }
        fs::remove_dir_all(all).unwrap();
        project
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> &Project {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Replaces text in a file; the text must be there.
    pub fn edit(&self, name: &str, old: &str, new: &str) -> &Project {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{name} does not contain {old}");
        self.write(name, &text.replace(old, new))
    }

    /// Runs `packtrain` in the project's folder.
    pub fn packtrain(&self, arguments: &[&str]) -> Output {
        self.packtrain_with(arguments, &[])
    }

    /// Runs `packtrain` with some environment variables.
    pub fn packtrain_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts `packtrain` and lets it run.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Starts `packtrain run --json` and returns when it has printed an event that contains `text`.
    pub fn run_until(&self, arguments: &[&str], text: &str) -> Child {
        self.run_until_line(arguments, text).0
    }

    /// Like [`Project::run_until`]; gives the line with the event too.
    pub fn run_until_line(&self, arguments: &[&str], text: &str) -> (Child, String) {
        let mut command = self.command(&[&["run", "--json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("the run ended without an event that contains {text}"));
        std::thread::spawn(move || lines.for_each(drop));
        (child, line)
    }

    /// Starts `packtrain` and listens to it.
    pub fn listen(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        for output in [Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>, Box::new(child.stderr.take().unwrap())] {
            let sender = sender.clone();
            std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        }
        Running { child, lines, heard: Vec::new() }
    }

    /// Runs the pipeline and returns what became of each stage, as `pack reused`, one a line.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.packtrain(&[&["run"], arguments].concat());
        assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
        output.stages()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_packtrain"));
        command.current_dir(self.folder.path()).args(arguments).env("XDG_CONFIG_HOME", self.path("settings"));
        for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_setting(&variable.to_string_lossy())) {
            command.env_remove(variable);
        }
        command
    }
}

/// Whether a variable of whoever runs the tests would change what `packtrain` does, or which servers it talks to.
fn is_setting(variable: &str) -> bool {
    let is_proxy = variable.to_ascii_lowercase().ends_with("_proxy");
    is_proxy
        || variable.starts_with("AWS_")
        || ["PACKTRAIN_STATE", "PACKTRAIN_PROFILE", "PACKTRAIN_WORKER", "PACKTRAIN_REMOTE", "PACKTRAIN_REMOTE_TOKEN"].contains(&variable)
}

/// A `packtrain` that runs, killed when it is dropped.
pub struct Running {
    child: Child,
    /// Of both outputs.
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Running {
    /// The next line that contains `text`. A test is not to wait for ever, but a busy machine may be slow.
    pub fn hear(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|error| panic!("no line with {text}: {error}\n{}", self.heard.join("\n")));
            self.heard.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        process::kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Waits for its end; gives the exit code and all that it has said.
    pub fn end(mut self) -> (i32, String) {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) {
            self.heard.push(line);
        }
        (self.child.wait().unwrap().code().unwrap_or(-1), self.heard.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Output {
    /// What became of each stage, from the final table: `pack reused`, one a line.
    pub fn stages(&self) -> String {
        let table = self.stdout.lines().skip_while(|line| !line.starts_with("stage ")).skip(1).take_while(|line| !line.is_empty());
        let line = |row: &str| {
            let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
            format!("{} {}\n", cells[0], cells[2])
        };
        table.map(line).collect()
    }
}

/// A text with `T` for every time that is foretold, and with as many spaces between cells as are needed.
pub fn timeless(text: &str) -> String {
    let time = regex::Regex::new(r"(about|0 or|from|to) [0-9.]+ (ms|s|min|h)( [0-9]+ (s|min))?").unwrap();
    let cells = regex::Regex::new(r"(\S)   +").unwrap();
    cells.replace_all(&time.replace_all(text, "$1 T"), "$1  ").into_owned()
}

/// Puts an object into a cache.
pub fn store(cache: &Cache, content: &[u8]) -> Digest {
    let file = cache.runs().with_file_name("new");
    fs::write(&file, content).unwrap();
    cache.store().insert(&file, cache.memo()).unwrap()
}

/// The entries of a folder in order.
pub fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}
