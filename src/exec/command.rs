//! A stage that is a command: its inputs laid out in the scratch folder, its environment made, its lines told as events.
//!
//! The command runs under a guard (see [`super::guard`]), which ends it with all that it has started when this side closes the
//! guard's standard input or dies.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf, absolute};
use std::process::{self, Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use std::{fs, thread};

use thiserror::Error;

use crate::event::{StageEvent, StageOutput};
use crate::exec::child::{LastLines, describe, killed_by, said};
use crate::exec::guard::SIGNALLED;
use crate::stage::{Command, CommandInput, INPUTS, JobInput, Reference, StageContext, StageError, StageJob, TEMPORARY};

/// This program, also after its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The variables of the user's that every command has, and those that have one value for all.
const INHERITED: [&str; 2] = ["PATH", "HOME"];
const FIXED: [(&str, &str); 1] = [("LANG", "C.UTF-8")];

/// How often a quiet command's end and its cancellation are looked at.
const POLL: Duration = Duration::from_millis(50);

/// How often the end of a command that has closed its outputs is looked at.
const MOMENT: Duration = Duration::from_millis(2);

/// How long lines may still come from processes that the command left behind, out of the guard's reach.
const AFTERMATH: Duration = Duration::from_millis(500);

/// Bytes after which a line is broken.
const LONGEST_LINE: u64 = 64 * 1024;

/// Why a command gave no result.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error("the inputs of the command could not be laid out: {path}: {source}", path = path.display())]
    Layout { path: PathBuf, source: io::Error },
    #[error("the command could not be started: {0}")]
    Start(io::Error),
    #[error("`{command}` failed: {status}{}", said(.stderr))]
    Failed { command: String, status: String, stderr: String },
    /// By the user, or because it took too long.
    #[error(transparent)]
    Stopped(StageError),
}

/// Runs a command in the job's folder.
pub(super) fn run(spec: &Command, job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, CommandError> {
    lay_out(spec, job)?;
    let (mut child, lines) = start(spec, job).map_err(CommandError::Start)?;
    let mut last_words = LastLines::default();
    let mut stopped = None;
    let mut hear = |context: &mut StageContext<'_>, line: Line| {
        context.emit(StageEvent::Note { message: line.text.clone() });
        if line.stream == Stream::Stderr {
            last_words.push(line.text);
        }
    };
    let status = loop {
        if stopped.is_none() {
            stopped = context.check_cancelled().err();
        }
        if stopped.is_some() {
            drop(child.stdin.take());
        }
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                hear(context, line);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(MOMENT),
        }
        if let Some(status) = child.try_wait().map_err(CommandError::Start)? {
            break status;
        }
    };
    while let Ok(line) = lines.recv_timeout(AFTERMATH) {
        hear(context, line);
    }
    match stopped {
        Some(reason) => Err(CommandError::Stopped(reason)),
        None if status.success() => Ok(StageOutput::default()),
        None => {
            Err(CommandError::Failed { command: spec.words(job.seed).join(" "), status: ending(status), stderr: last_words.into_text() })
        }
    }
}

/// The guard passes a signal's number on as a shell does.
fn ending(status: ExitStatus) -> String {
    match status.code() {
        Some(code) if code > SIGNALLED => killed_by(code - SIGNALLED),
        Some(code) => format!("exit code {code}"),
        None => describe(status),
    }
}

/// Puts every input where the command looks for it. What comes from outside is copied, so that a script finds no neighbours
/// that were not declared; what stages made, and the files of folders, are links.
fn lay_out(spec: &Command, job: &StageJob) -> Result<(), CommandError> {
    for folder in [INPUTS, TEMPORARY] {
        at(&job.out.join(folder), |path| fs::create_dir(path))?;
    }
    for (name, written) in &spec.inputs {
        let target = job.out.join(Command::input_path(name));
        match (job.inputs.get(&format!("{INPUTS}.{name}")), written) {
            (Some(JobInput::File(path)), CommandInput::Reference(Reference::File(_))) => at(path, |path| copy(path, &target))?,
            (Some(JobInput::File(path)), _) => at(path, |path| link(path, &target))?,
            (Some(JobInput::Folder { root, files }), _) => {
                at(&target, |target| fs::create_dir(target))?;
                for file in files {
                    at(&root.join(&file.path), |path| link(path, &target.join(&file.path)))?;
                }
            }
            (None, _) => return Err(CommandError::Layout { path: target, source: io::ErrorKind::NotFound.into() }),
        }
    }
    Ok(())
}

/// Says of which path an error is.
fn at(path: &Path, act: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), CommandError> {
    act(path).map_err(|source| CommandError::Layout { path: path.to_owned(), source })
}

fn link(file: &Path, target: &Path) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    symlink(absolute(file)?, target)
}

/// A copy shares its blocks with the file where the file system can. It is read-only, and executable if the file is.
fn copy(file: &Path, target: &Path) -> io::Result<()> {
    fs::copy(file, target)?;
    let mode = fs::metadata(target)?.permissions().mode();
    fs::set_permissions(target, fs::Permissions::from_mode(mode & 0o555 | 0o444))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug)]
struct Line {
    stream: Stream,
    text: String,
}

fn start(spec: &Command, job: &StageJob) -> io::Result<(Child, Receiver<Line>)> {
    let folder = absolute(&job.out)?;
    #[expect(clippy::disallowed_methods, reason = "the executor starts programs")]
    let mut command = process::Command::new(THIS_PROGRAM);
    command.arg("guard").arg("--").args(spec.words(job.seed)).current_dir(&folder).process_group(0);
    command.env_clear().envs(FIXED).env("TMPDIR", folder.join(TEMPORARY));
    for name in INHERITED.into_iter().chain(spec.pass_environment.iter().map(String::as_str)) {
        #[expect(clippy::disallowed_methods, reason = "the manifest says which variables a command gets as they are outside")]
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.envs(spec.variables(job.seed));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        read_lines(stdout, Stream::Stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_lines(stderr, Stream::Stderr, sender);
    }
    Ok((child, lines))
}

fn read_lines(output: impl Read + Send + 'static, stream: Stream, lines: Sender<Line>) {
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        // A read error means the same as the end: nothing more can be heard.
        while (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let text = shown(&bytes);
            bytes.clear();
            if !text.is_empty() && lines.send(Line { stream, text }).is_err() {
                return;
            }
        }
    });
}

/// A line as a terminal would show it in the end: what stands before a carriage return is overwritten, as progress bars do.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    text.rsplit('\r').next().unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_progress_bar_its_last_state_is_heard() {
        assert_eq!(shown(b" 10 %\r 50 %\r100 %\n"), "100 %");
        assert_eq!(shown(b"a line of Windows \r\n"), "a line of Windows");
        assert_eq!(shown(b"\xff\xfe x"), "\u{fffd}\u{fffd} x");
        assert_eq!(shown(b"\r\n"), "");
    }

    #[test]
    fn a_copied_input_cannot_be_written_and_stays_executable() {
        let folder = tempfile::tempdir().unwrap();
        let (script, target) = (folder.path().join("a.sh"), folder.path().join("b"));
        fs::write(&script, "x").unwrap();
        for (mode, expected) in [(0o755, 0o555), (0o600, 0o444)] {
            fs::set_permissions(&script, fs::Permissions::from_mode(mode)).unwrap();
            copy(&script, &target).unwrap();
            assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, expected);
            fs::remove_file(&target).unwrap();
        }
    }
}
