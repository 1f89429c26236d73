//! The worker's side of the protocol: jobs in, events and results out.
//!
//! Takes any reader and writer, so that tests need no process.

use std::any::Any;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use packtrain::event::StageEvent;
use packtrain::protocol::{FromWorker, Hello, PROTOCOL_VERSION, ToWorker};
use packtrain::stage::{StageContext, StageError, StageJob, StageOutput, StageSpec};

use crate::{device, evaluate, features, train};

#[cfg(test)]
mod tests;

/// What may happen while a job runs.
#[derive(Debug, Clone)]
pub struct Signals {
    /// Set to stop the running job.
    pub cancelled: Arc<AtomicBool>,
    /// Called when the input ends while a job runs: nobody wants its result any more.
    pub abandoned: fn(),
}

/// Who this worker is.
pub fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        libtorch: env!("PACKTRAIN_LIBTORCH_VERSION").to_owned(),
        devices: device::available(),
    }
}

/// Says hello, then runs the jobs that come in, until the input ends.
pub fn serve(input: impl BufRead + Send + 'static, output: &mut (impl Write + Send), signals: &Signals) -> io::Result<()> {
    send(output, &FromWorker::Hello(hello()))?;
    let running = Arc::new(AtomicBool::new(false));
    let (sender, jobs) = channel();
    let reader = Reader { jobs: sender, running: Arc::clone(&running), signals: signals.clone() };
    thread::spawn(move || reader.read(input));
    run_jobs(&jobs, output, &running, &signals.cancelled)
}

fn run_jobs(
    jobs: &Receiver<Result<Box<StageJob>, String>>,
    output: &mut (impl Write + Send),
    running: &AtomicBool,
    cancelled: &AtomicBool,
) -> io::Result<()> {
    for job in jobs {
        running.store(true, Ordering::SeqCst);
        let result = match job {
            Ok(job) => run_reporting(&job, output, cancelled),
            Err(error) => FromWorker::Failed { error, interrupted: false },
        };
        running.store(false, Ordering::SeqCst);
        send(output, &result)?;
    }
    Ok(())
}

/// Reads messages on a thread of its own, so that a cancellation or the end of the input is seen while a job runs.
struct Reader {
    jobs: Sender<Result<Box<StageJob>, String>>,
    running: Arc<AtomicBool>,
    signals: Signals,
}

impl Reader {
    fn read(self, input: impl BufRead) {
        // A read error means the same as the end: there is no coordinator to hear from.
        for line in input.lines().map_while(Result::ok) {
            let message = match serde_json::from_str(&line) {
                Ok(ToWorker::Job { job }) => Ok(job),
                Ok(ToWorker::Cancel) => {
                    self.signals.cancelled.store(true, Ordering::SeqCst);
                    continue;
                }
                Err(error) => Err(format!("the worker was sent a line that is no message: {error}")),
            };
            if self.jobs.send(message).is_err() {
                return;
            }
        }
        if self.running.load(Ordering::SeqCst) {
            (self.signals.abandoned)();
        }
    }
}

/// Runs one job; its events go to `output`. A panic, such as libtorch's when memory is short, fails the job alone.
fn run_reporting(job: &StageJob, output: &mut (impl Write + Send), cancelled: &AtomicBool) -> FromWorker {
    let mut emit = |event| {
        if send(output, &FromWorker::Event { event }).is_err() {
            cancelled.store(true, Ordering::SeqCst);
        }
    };
    let mut context = StageContext { emit: &mut emit, cancelled, deadline: None };
    match catch_unwind(AssertUnwindSafe(|| run(job, &mut context))) {
        Ok(Ok(output)) => FromWorker::Done { output },
        Ok(Err(StageError::Interrupted)) => FromWorker::Failed { error: StageError::Interrupted.to_string(), interrupted: true },
        Ok(Err(error)) => FromWorker::Failed { error: error.to_string(), interrupted: false },
        Err(panic) => FromWorker::Failed { error: panic_message(panic.as_ref()), interrupted: false },
    }
}

fn run(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    if let Some(problem) = job.spec.check().first() {
        return Err(StageError::Invalid(format!("{}: {}", problem.path, problem.message)));
    }
    let device = device::choose(job.device)?;
    let name = device::name(device);
    context.emit(StageEvent::Note { message: format!("running on {name}") });
    let mut output = StageOutput { device: Some(name), arithmetic: device::arithmetic(device), ..StageOutput::default() };
    match &job.spec {
        StageSpec::Train(spec) => train::run(spec, job, device, context)?,
        StageSpec::ExtractFeatures(spec) => {
            output.rows = Some(features::run(spec, job, device, output.arithmetic.as_deref(), context)?);
        }
        StageSpec::OversampleEval(spec) => evaluate::run_oversample(spec, job, device, context)?,
        StageSpec::Evaluate(spec) if spec.images.is_some() => evaluate::run(spec, job, device, context)?,
        StageSpec::Evaluate(_) | StageSpec::Pack(_) | StageSpec::ComputeMean(_) | StageSpec::TrainLogistic(_) | StageSpec::Command(_) => {
            return Err(StageError::Invalid(format!("stage {} needs no worker", job.stage)));
        }
    }
    Ok(output)
}

/// The message of a panic, without the C++ backtrace that libtorch adds.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message = message.unwrap_or("the worker panicked without saying why");
    let first_line = message.split("\\n").next().unwrap_or(message).lines().next().unwrap_or(message);
    first_line.replace("called `Result::unwrap()` on an `Err` value: Torch(\"", "libtorch: ")
}

fn send(output: &mut (impl Write + Send), message: &FromWorker) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}
