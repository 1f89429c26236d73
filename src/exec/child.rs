//! How a child process ended, and what it said last.

use std::collections::VecDeque;
use std::process::ExitStatus;

/// Lines of standard error that are kept.
const KEPT_LINES: usize = 40;

/// The last lines of a text that comes line by line.
#[derive(Debug, Default)]
pub(super) struct LastLines(VecDeque<String>);

impl LastLines {
    pub(super) fn push(&mut self, line: String) {
        if self.0.len() == KEPT_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    pub(super) fn into_text(self) -> String {
        Vec::from(self.0).join("\n")
    }
}

/// The end of a process, for people.
pub(super) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => killed_by(signal),
        None => status.to_string(),
    }
}

/// The end of a process that a signal killed, for people.
pub(super) fn killed_by(signal: i32) -> String {
    match signal {
        9 => "killed by signal 9; if you did not do so, the system may have been out of memory".to_owned(),
        signal => format!("killed by signal {signal}"),
    }
}

/// The end of an error's text: what the process said, if it said anything.
pub(super) fn said(stderr: &str) -> String {
    if stderr.trim().is_empty() { String::new() } else { format!("; its last words:\n{}", stderr.trim_end()) }
}
