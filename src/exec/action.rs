//! One stage that is to run, or whose result is asked of the remote: under its action's lock, tried as often as it may be, its result
//! published.
//!
//! Runs on a thread of its own. What it says goes through a channel, in order.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::cache::{ActionLock, ActionRecord, Cache, Effort, Pins, Stay};
use crate::event::{Metric, RunEvent, StageEvent, StageOutput};
use crate::exec::capacity::Allotment;
use crate::exec::checkpointing::Checkpointing;
use crate::exec::errand::Errand;
use crate::exec::publish::{Finished, publish};
use crate::exec::scheduler::{Done, Ended, ExecError, Message, Origin};
use crate::exec::{command, worker};
use crate::key::{ActionKey, Change, Fingerprint, StagePath, TrajectoryKey};
use crate::manifest::PipelineStage;
use crate::plan::{Decision, Experience, GatheredInputs, ReusableRows, RowImages, Trajectory, decide};
use crate::remote::Remote;
use crate::stage::{self, EarlierRows, StageContext, StageError, StageJob, StageSpec, TimeLimit};

/// How long a stage that failed is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// A stage with what its result depends on, and why it runs.
pub(super) struct Action<'a> {
    pub stage: &'a PipelineStage,
    pub path: StagePath,
    /// The pipeline and variant, for the record.
    pub place: String,
    /// Of the fingerprint.
    pub key: ActionKey,
    pub fingerprint: Fingerprint,
    pub inputs: GatheredInputs,
    pub changes: Vec<Change>,
}

/// What an action runs with.
#[derive(Clone)]
pub(super) struct Site<'a> {
    pub cache: &'a Cache,
    pub remote: Option<&'a Remote>,
    pub cancelled: &'a AtomicBool,
    pub messages: Sender<Message<'a>>,
    /// All cores of the machine.
    pub cpus: usize,
}

impl Site<'_> {
    /// Nobody listens any more only if the run is being torn down.
    pub(super) fn emit(&self, event: RunEvent) {
        drop(self.messages.send(Message::Event(Box::new(event))));
    }
}

/// A try that succeeded.
struct Attempt {
    job: StageJob,
    output: StageOutput,
    metrics: Vec<Metric>,
    /// Of a training, the states on its way.
    states: Vec<TrajectoryKey>,
    seconds: f64,
    epochs: u32,
}

impl Action<'_> {
    /// Runs the stage, or without an allotment asks the remote for its result; unless another process has run it meanwhile.
    pub(super) fn go<'s>(self, allotment: Option<&Allotment>, site: &Site<'s>) -> Ended<'s> {
        match site.cache.stay() {
            Ok(stay) => Ended { result: self.go_staying(&stay, allotment, site), stay: Some(stay) },
            Err(error) => Ended { result: Err(error.into()), stay: None },
        }
    }

    /// The schedule has pinned what the stage needs.
    fn go_staying(self, stay: &Stay<'_>, allotment: Option<&Allotment>, site: &Site<'_>) -> Result<Option<Done>, ExecError> {
        let doing = if allotment.is_some() { "running" } else { "fetching" };
        let holder = format!("process {} {doing} stage {} of {}", std::process::id(), self.stage.id, self.place);
        let mut waited = false;
        let waiting = |holder: &str| {
            waited = true;
            site.emit(RunEvent::StageWaiting { stage: self.path.clone(), holder: holder.to_owned() });
        };
        let mut lock = stay.away(&Pins::default(), || site.cache.lock(&self.key, &holder, waiting))??;
        if waited && let Decision::Hit(record) = decide(self.stage, &self.fingerprint, &self.inputs, None, site.cache)? {
            return Ok(Some(Done { key: self.key, record, files: None, origin: Origin::Cache }));
        }
        let errand = Errand { path: &self.path, stay, scratch: lock.scratch(), site };
        let Some(allotment) = allotment else { return errand.fetch_result(&self.key) };
        if self.changes != [Change::Forced]
            && let Some(trajectory) = Trajectory::of(self.stage, &self.fingerprint)?
        {
            errand.fetch_state(&trajectory)?;
            lock.empty_scratch()?;
        }
        site.emit(RunEvent::StageStarted { stage: self.path.clone(), key: self.key, changes: self.changes.clone() });
        let attempt = self.attempts(&mut lock, stay, allotment, site)?;
        self.publish(attempt, site.cache).map(Some)
    }

    /// Tries as often as the stage may be tried.
    fn attempts(&self, lock: &mut ActionLock, stay: &Stay<'_>, allotment: &Allotment, site: &Site<'_>) -> Result<Attempt, ExecError> {
        let retries = self.stage.execution.retries;
        for retry in 1..=retries {
            match self.attempt(lock.scratch(), stay, allotment, site) {
                Err(error) if !error.is_interruption() => {
                    self.say(StageEvent::Warning { message: format!("{error}; trying again ({retry} of {retries})") }, site);
                }
                ended => return ended,
            }
            pause(site.cancelled)?;
            lock.empty_scratch()?;
        }
        self.attempt(lock.scratch(), stay, allotment, site)
    }

    fn publish(self, attempt: Attempt, cache: &Cache) -> Result<Done, ExecError> {
        let Attempt { job, output, metrics, states, seconds, epochs } = attempt;
        let Action { stage, place, key, fingerprint, inputs, .. } = self;
        let effort = Effort { amount: inputs.amount(stage), epochs };
        let finished = Finished { job: &job, pipeline: &place, fingerprint, inputs: &inputs, output, metrics, states, seconds, effort };
        let (record, unstable_inputs) = publish(finished, cache)?;
        Ok(Done { key, record: Box::new(record), files: None, origin: Origin::Run(unstable_inputs) })
    }

    /// Runs the job in this process or in a worker; the metrics are those that it reported, in order.
    fn attempt(&self, out: &Path, stay: &Stay<'_>, allotment: &Allotment, site: &Site<'_>) -> Result<Attempt, ExecError> {
        let mut checkpoints = Checkpointing::of(self.stage, &self.fingerprint, site.cache)?;
        let images = RowImages::of(self.stage, &self.inputs, site.cache)?;
        let (earlier, holders) = self.reusable_rows(&images, site.cache)?;
        let job = StageJob {
            stage: self.stage.id.clone(),
            spec: self.stage.spec.clone(),
            inputs: self.inputs.job(),
            out: out.to_owned(),
            seed: self.stage.seed,
            device: allotment.device,
            threads: (allotment.cpus < site.cpus).then_some(allotment.cpus),
            resume: checkpoints.as_ref().and_then(Checkpointing::resume),
            packed_rows: images.into_packed(),
            earlier,
        };
        let states = checkpoints.as_ref().map(|checkpoints| checkpoints.states().to_vec()).unwrap_or_default();
        let pins = Pins::of_results(&holders).with_states(&states);
        let started = Instant::now();
        let (mut metrics, mut epochs) = (Vec::new(), 0);
        let mut hear = |said: StageEvent| {
            match (&said, &mut checkpoints) {
                (StageEvent::Metric { name, value }, _) => metrics.push(Metric { name: name.clone(), value: *value }),
                (StageEvent::Epoch(_), _) => epochs += 1,
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
        let output = stay.away(&pins, || execute(&job, &mut context))??;
        Ok(Attempt { job, output, metrics, states, seconds: started.elapsed().as_secs_f64(), epochs })
    }

    /// Rows to be copied and the results that hold them. A stage that is forced to run makes everything anew.
    fn reusable_rows(&self, images: &RowImages, cache: &Cache) -> Result<(Vec<EarlierRows>, Vec<ActionRecord>), ExecError> {
        if self.changes == [Change::Forced] {
            return Ok(Default::default());
        }
        let found = ReusableRows::find(self.stage, &self.fingerprint, images, &Experience::new(cache))?;
        Ok(found.map(|rows| (rows.earlier, rows.records)).unwrap_or_default())
    }

    fn say(&self, said: StageEvent, site: &Site<'_>) {
        site.emit(RunEvent::Stage { stage: self.path.clone(), said });
    }
}

/// Runs a job where its kind wants to run: in this process, in a worker, or as a program. Nothing is published.
pub fn execute(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, ExecError> {
    match (&job.spec, job.threads) {
        (StageSpec::Command(spec), _) => Ok(command::run(spec, job, context)?),
        (spec, _) if spec.needs_worker() => Ok(worker::run(job, context)?),
        (_, None) => Ok(stage::run(job, context)?),
        (_, Some(threads)) => {
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
