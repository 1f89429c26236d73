//! One stage that is to run: under its action's lock, tried as often as it may be, its result published.
//!
//! Runs on a thread of its own. What it says goes through a channel, in order.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::event::{Metric, RunEvent, StageEvent, StageOutput};
use crate::exec::capacity::Allotment;
use crate::exec::checkpointing::Checkpointing;
use crate::exec::publish::{Finished, publish};
use crate::exec::scheduler::{Done, ExecError, Message};
use crate::exec::worker;
use crate::key::{Change, Fingerprint, StagePath};
use crate::manifest::PipelineStage;
use crate::plan::{Decision, GatheredInputs, decide};
use crate::stage::{self, StageContext, StageError, StageJob, TimeLimit};

/// How long a stage that failed is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A stage with what its result depends on, and why it runs.
pub(super) struct Action<'a> {
    pub stage: &'a PipelineStage,
    pub path: StagePath,
    /// The pipeline and variant, for the record.
    pub place: String,
    pub fingerprint: Fingerprint,
    pub inputs: GatheredInputs,
    pub changes: Vec<Change>,
}

/// What an action runs with.
#[derive(Clone)]
pub(super) struct Site<'a> {
    pub cache: &'a Cache,
    pub cancelled: &'a AtomicBool,
    pub messages: Sender<Message>,
    /// All cores of the machine.
    pub cpus: usize,
}

impl Site<'_> {
    /// Nobody listens any more only if the run is being torn down.
    fn emit(&self, event: RunEvent) {
        drop(self.messages.send(Message::Event(event)));
    }
}

/// A try that succeeded.
struct Attempt {
    job: StageJob,
    output: StageOutput,
    metrics: Vec<Metric>,
    seconds: f64,
}

impl Action<'_> {
    /// Runs the stage, unless another process has run it meanwhile.
    pub(super) fn run(self, allotment: &Allotment, site: &Site<'_>) -> Result<Done, ExecError> {
        let holder = format!("process {} running stage {} of {}", std::process::id(), self.stage.id, self.place);
        let mut waited = false;
        let mut lock = site.cache.lock(&self.fingerprint.key(), &holder, |holder| {
            waited = true;
            site.emit(RunEvent::StageWaiting { stage: self.path.clone(), holder: holder.to_owned() });
        })?;
        if waited && let Decision::Hit(record) = decide(&self.fingerprint, &self.inputs, None, site.cache)? {
            return Ok(Done { record: *record, ran: None });
        }
        site.emit(RunEvent::StageStarted { stage: self.path.clone(), changes: self.changes.clone() });
        let retries = self.stage.execution.retries;
        for retry in 1..=retries {
            match self.attempt(lock.scratch(), allotment, site) {
                Err(error) if !error.is_interruption() => {
                    self.say(StageEvent::Warning { message: format!("{error}; trying again ({retry} of {retries})") }, site);
                }
                ended => return self.publish(ended?, site.cache),
            }
            pause(site.cancelled)?;
            lock.empty_scratch()?;
        }
        let ended = self.attempt(lock.scratch(), allotment, site)?;
        self.publish(ended, site.cache)
    }

    fn publish(self, attempt: Attempt, cache: &Cache) -> Result<Done, ExecError> {
        let Attempt { job, output, metrics, seconds } = attempt;
        let Action { place, fingerprint, inputs, .. } = self;
        let finished = Finished { job: &job, pipeline: &place, fingerprint, inputs: &inputs, output, metrics, seconds };
        let (record, unstable_inputs) = publish(finished, cache)?;
        Ok(Done { record, ran: Some(unstable_inputs) })
    }

    /// Runs the job in this process or in a worker; the metrics are those that it reported, in order.
    fn attempt(&self, out: &Path, allotment: &Allotment, site: &Site<'_>) -> Result<Attempt, ExecError> {
        let mut checkpoints = Checkpointing::of(self.stage, &self.fingerprint, site.cache)?;
        let job = StageJob {
            stage: self.stage.id.clone(),
            spec: self.stage.spec.clone(),
            inputs: self.inputs.job.clone(),
            out: out.to_owned(),
            seed: self.stage.seed,
            device: allotment.device,
            threads: (allotment.cpus < site.cpus).then_some(allotment.cpus),
            resume: checkpoints.as_ref().and_then(Checkpointing::resume),
        };
        let started = Instant::now();
        let mut metrics = Vec::new();
        let mut hear = |said: StageEvent| {
            match (&said, &mut checkpoints) {
                (StageEvent::Metric { name, value }, _) => metrics.push(Metric { name: name.clone(), value: *value }),
                (StageEvent::Checkpoint { epoch, file }, Some(checkpoints)) => {
                    if let Err(error) = checkpoints.keep(*epoch, &job.out.join(file)) {
                        let message = format!("the state after epoch {epoch} could not be kept: {error}");
                        self.say(StageEvent::Warning { message }, site);
                    }
                }
                _ => {}
            }
            self.say(said, site);
        };
        let deadline = self.stage.execution.timeout.map(|TimeLimit(limit)| started + limit);
        let mut context = StageContext { emit: &mut hear, cancelled: site.cancelled, deadline };
        let output = execute(&job, &mut context)?;
        Ok(Attempt { job, output, metrics, seconds: started.elapsed().as_secs_f64() })
    }

    fn say(&self, said: StageEvent, site: &Site<'_>) {
        site.emit(RunEvent::Stage { stage: self.path.clone(), said });
    }
}

fn execute(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, ExecError> {
    if job.spec.needs_worker() {
        return Ok(worker::run(job, context)?);
    }
    match job.threads {
        None => Ok(stage::run(job, context)?),
        Some(threads) => {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|error| StageError::Invalid(format!("{threads} threads could not be started: {error}")))?;
            Ok(pool.install(|| stage::run(job, context))?)
        }
    }
}

/// Waits before the next try, unless the user asks to stop.
fn pause(cancelled: &AtomicBool) -> Result<(), StageError> {
    let started = Instant::now();
    while started.elapsed() < PAUSE {
        if cancelled.load(Ordering::Relaxed) {
            return Err(StageError::Interrupted);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
