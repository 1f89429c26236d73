//! A stage in a worker process: one process, one job.
//!
//! The worker has its own process group, so that a Ctrl-C on the terminal reaches only the coordinator, which then asks
//! the worker to stop. It is killed when this side lets go of it, and ends by itself when this process dies.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::event::StageOutput;
use crate::exec::child::{LastLines, describe, said};
use crate::protocol::{FromWorker, Hello, PROTOCOL_VERSION, ToWorker};
use crate::stage::{StageContext, StageError, StageJob};

/// Names the worker program, for when it does not lie beside the coordinator.
const WORKER_VARIABLE: &str = "PACKTRAIN_WORKER";

const PROGRAM: &str = "packtrain-worker";

/// How often a quiet worker's cancellation is looked at.
const POLL: Duration = Duration::from_millis(100);

/// How long a worker may take to stop when asked to.
const GRACE: Duration = Duration::from_secs(30);

/// Why a worker did not finish its job.
#[derive(Debug, Error)]
pub enum WorkerError {
    #[error("cannot start the worker {path}: {source}; build it, or set {WORKER_VARIABLE} to where it is", path = path.display())]
    Start { path: PathBuf, source: io::Error },
    #[error("the worker {path} speaks protocol {found}, this packtrain {PROTOCOL_VERSION}; build both from the same source", path = path.display())]
    Protocol { path: PathBuf, found: u32 },
    #[error("the worker could not be written to: {0}")]
    Pipe(io::Error),
    #[error("the worker died ({status}){}", said(.stderr))]
    Died { status: String, stderr: String },
    #[error("interrupted")]
    Interrupted,
    #[error("{}", StageError::TimedOut)]
    TimedOut,
    /// The stage's own error, in the worker's words.
    #[error("{0}")]
    Stage(String),
}

/// What the worker on this machine says of itself.
pub fn worker_hello() -> Result<Hello, WorkerError> {
    let mut worker = Worker::start(None)?;
    worker.hello()
}

/// Runs a job in a new worker.
pub(super) fn run(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, WorkerError> {
    let mut worker = Worker::start(job.threads)?;
    let hello = worker.hello()?;
    worker.send(&ToWorker::Job { job: Box::new(job.clone()) })?;
    let mut stopped: Option<(Instant, StageError)> = None;
    loop {
        if stopped.is_none()
            && let Err(reason) = context.check_cancelled()
        {
            stopped = Some((Instant::now(), reason));
            worker.send(&ToWorker::Cancel)?;
        }
        match worker.messages.recv_timeout(POLL) {
            Ok(FromWorker::Event { event }) => context.emit(event),
            Ok(FromWorker::Done { output }) => return Ok(StageOutput { libtorch: Some(hello.libtorch), ..output }),
            Ok(FromWorker::Failed { interrupted: true, .. }) => return Err(stopped_by(stopped)),
            Ok(FromWorker::Failed { error, .. }) => return Err(WorkerError::Stage(error)),
            Ok(FromWorker::Hello(_)) => {}
            Err(RecvTimeoutError::Timeout) if stopped.as_ref().is_some_and(|(since, _)| since.elapsed() > GRACE) => {
                return Err(stopped_by(stopped));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if stopped.is_some() => return Err(stopped_by(stopped)),
            Err(RecvTimeoutError::Disconnected) => return Err(worker.died()),
        }
    }
}

/// The error of a worker that was asked to stop, or that the user has stopped.
fn stopped_by(stopped: Option<(Instant, StageError)>) -> WorkerError {
    match stopped {
        Some((_, StageError::TimedOut)) => WorkerError::TimedOut,
        _ => WorkerError::Interrupted,
    }
}

struct Worker {
    path: PathBuf,
    child: Child,
    messages: Receiver<FromWorker>,
    stderr: Option<JoinHandle<String>>,
}

impl Worker {
    /// With `threads`, it computes with so many.
    fn start(threads: Option<usize>) -> Result<Worker, WorkerError> {
        let path = worker_path();
        #[expect(clippy::disallowed_methods, reason = "this module owns the worker process")]
        let mut command = Command::new(&path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // Where cores are shared, threads of libtorch that wait by spinning make a step many times slower.
        command.env("OMP_WAIT_POLICY", "PASSIVE");
        // With workspaces of this fixed shape cuBLAS gives the same bits every time (its manual, "Results Reproducibility").
        command.env("CUBLAS_WORKSPACE_CONFIG", ":4096:8");
        if let Some(threads) = threads {
            command.env("OMP_NUM_THREADS", threads.to_string());
        }
        let failed = |source| WorkerError::Start { path: path.clone(), source };
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err(failed(io::ErrorKind::BrokenPipe.into())) };
        let messages = read_messages(stdout);
        Ok(Worker { path, child, messages, stderr: Some(keep_last_lines(stderr)) })
    }

    fn hello(&mut self) -> Result<Hello, WorkerError> {
        match self.messages.recv() {
            Ok(FromWorker::Hello(hello)) if hello.protocol == PROTOCOL_VERSION => Ok(hello),
            Ok(FromWorker::Hello(hello)) => Err(WorkerError::Protocol { path: self.path.clone(), found: hello.protocol }),
            Ok(_) => Err(WorkerError::Protocol { path: self.path.clone(), found: 0 }),
            Err(_) => Err(self.died()),
        }
    }

    fn send(&mut self, message: &ToWorker) -> Result<(), WorkerError> {
        let mut line = serde_json::to_vec(message).map_err(|error| WorkerError::Pipe(error.into()))?;
        line.push(b'\n');
        let stdin = self.child.stdin.as_mut();
        match stdin.map(|stdin| stdin.write_all(&line).and_then(|()| stdin.flush())) {
            Some(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.died()),
            Some(Err(error)) => Err(WorkerError::Pipe(error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// The error of a worker whose standard output has ended.
    fn died(&mut self) -> WorkerError {
        drop(self.child.stdin.take());
        let status = self.child.wait().map_or_else(|error| error.to_string(), describe);
        let stderr = self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        WorkerError::Died { status, stderr }
    }
}

impl Drop for Worker {
    /// A worker that has ended is only reaped.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn worker_path() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "this module owns where the worker lies")]
    let named = std::env::var_os(WORKER_VARIABLE);
    let beside = || std::env::current_exe().ok()?.parent().map(|folder| folder.join(PROGRAM));
    named.map(PathBuf::from).or_else(beside).unwrap_or_else(|| Path::new(PROGRAM).to_owned())
}

/// Lines that are no message come from some library and are passed over.
fn read_messages(stdout: ChildStdout) -> Receiver<FromWorker> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let messages = BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
        for message in messages {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}

fn keep_last_lines(stderr: ChildStderr) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = LastLines::default();
        BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| kept.push(line));
        kept.into_text()
    })
}
