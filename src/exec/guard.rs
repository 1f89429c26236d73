//! The guard of a command: a process between the coordinator and a program of the user's.
//!
//! It starts the program in a process group of its own and ends with its exit code. When its standard input ends, because the
//! coordinator wants the command to stop or is dead, the whole group is asked to end, and killed if it does not. A
//! parent-death signal would reach only the program itself, not what that has started, and could only be set by unsafe code.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How long a command may take to end when asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Added to a signal's number when a program ended by it, as shells do.
pub(super) const SIGNALLED: i32 = 128;

/// The exit code for a program that could not be started, as in shells.
const NOT_STARTED: i32 = 127;

/// Runs a program with its arguments until it ends or standard input does; gives the code to exit with.
pub fn guard(words: &[OsString]) -> i32 {
    match start(words).and_then(watch) {
        Ok(status) => status.code().unwrap_or(SIGNALLED + status.signal().unwrap_or_default()),
        Err(error) => {
            let program = words.first().map(|word| word.display().to_string()).unwrap_or_default();
            // The coordinator reads it as the command's last words; if it is gone, nobody does.
            drop(writeln!(io::stderr(), "cannot start `{program}`: {error}"));
            NOT_STARTED
        }
    }
}

fn start(words: &[OsString]) -> io::Result<Child> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    #[expect(clippy::disallowed_methods, reason = "the executor starts programs")]
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).process_group(0).spawn()
}

fn watch(mut child: Child) -> io::Result<ExitStatus> {
    let group = Pid::from_child(&child);
    thread::spawn(move || {
        wait_for_end_of_input();
        signal(group, Signal::TERM);
        thread::sleep(GRACE);
        signal(group, Signal::KILL);
    });
    // As long as the program is not reaped, the group's number is nobody else's.
    waitid(WaitId::Pid(group), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    signal(group, Signal::KILL);
    child.wait()
}

/// An error means the same as the end: nobody holds the other side.
fn wait_for_end_of_input() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|count| count > 0) {}
}

/// A group that is gone needs no signal.
fn signal(group: Pid, signal: Signal) {
    kill_process_group(group, signal).unwrap_or(());
}
