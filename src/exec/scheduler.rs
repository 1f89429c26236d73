//! One stage after another, in the plan's order; of a family, one variant after another.
//!
//! A stage's key is computed just in time, when its inputs exist. A failed stage stops what needs it; with
//! `keep_going` the others still run. A failed variant never stops the next one. What several variants have in common runs once:
//! the first one's result is in the cache for the others, and a failure is not tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;

use crate::cache::{ActionRecord, Cache, CacheError, Project, place};
use crate::event::{Metric, RunEvent, RunOutcome, StageEvent, StageOutput, StageResult};
use crate::exec::checkpointing::Checkpointing;
use crate::exec::publish::{Finished, publish};
use crate::exec::worker::{self, WorkerError};
use crate::key::{ActionKey, Change, Fingerprint, StageId, StagePath};
use crate::manifest::{PipelineInputSource, PipelineStage};
use crate::plan::{Decision, GatheredInputs, Plan, PlanError, decide, fingerprint, gather};
use crate::stage::{self, Device, StageContext, StageError, StageJob};

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    pub device: Device,
    /// Stages that run even if their result is there; what variants have in common is run again once.
    pub force: BTreeSet<StageId>,
    /// Goes on with stages that do not need a failed one.
    pub keep_going: bool,
}

/// Why a stage did not finish.
#[derive(Debug, Error)]
pub enum ExecError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("it failed as {stage} already: {reason}")]
    FailedBefore { stage: StagePath, reason: String },
    /// The stage ended well but left something that is no artifact.
    #[error("its output `{output}` is not what it should be: {reason}")]
    Output { output: String, reason: String },
}

/// Runs the plans, which are those of one manifest's variants. The events tell everything but [`RunEvent::RunStarted`].
pub fn run(
    plans: &[Plan<'_>],
    project: &Project,
    cache: &Cache,
    options: &RunOptions,
    outside: &mut Outside<'_>,
) -> Result<RunOutcome, CacheError> {
    let started = Instant::now();
    cache.sweep()?;
    let mut outcome = RunOutcome::Succeeded;
    let mut attempts = Attempts::default();
    for plan in plans {
        let place = plan.pipeline.place();
        let earlier_heads = cache.heads(&place);
        let heads = earlier_heads.clone();
        let mut run = Run { plan, project, cache, options, attempts, results: BTreeMap::new(), heads };
        outcome = outcome.max(run.stages(outside));
        if run.heads != earlier_heads {
            cache.set_heads(&place, &run.heads)?;
        }
        attempts = run.attempts;
    }
    cache.memo().save()?;
    (outside.emit)(RunEvent::RunFinished { outcome, seconds: started.elapsed().as_secs_f64() });
    Ok(outcome)
}

/// Where a run reports, and whether it should stop.
pub struct Outside<'a> {
    pub emit: &'a mut dyn FnMut(RunEvent),
    pub cancelled: &'a AtomicBool,
}

struct Run<'a> {
    plan: &'a Plan<'a>,
    project: &'a Project,
    cache: &'a Cache,
    options: &'a RunOptions,
    attempts: Attempts,
    results: BTreeMap<StageId, ActionRecord>,
    heads: BTreeMap<StageId, ActionKey>,
}

/// A result, and the inputs that changed while it was made; `None` if it was not made here.
type Done = (ActionRecord, Option<Vec<PathBuf>>);

/// What was run for earlier variants.
#[derive(Default)]
struct Attempts {
    succeeded: BTreeSet<ActionKey>,
    failed: BTreeMap<ActionKey, (StagePath, String)>,
    interrupted: bool,
}

/// A stage with what its result depends on.
struct Action<'a> {
    stage: &'a PipelineStage,
    fingerprint: Fingerprint,
    inputs: GatheredInputs,
}

impl Run<'_> {
    fn stages(&mut self, outside: &mut Outside<'_>) -> RunOutcome {
        let mut outcome = RunOutcome::Succeeded;
        for stage in self.plan.stages() {
            let blocked = self.missing_upstream(stage);
            let stopped = self.attempts.interrupted || (outcome == RunOutcome::Failed && !self.options.keep_going);
            if blocked.is_some() || stopped {
                (outside.emit)(RunEvent::StageNotRun { stage: self.path(stage), needs: blocked });
                continue;
            }
            match self.stage(stage, outside) {
                Ok(record) => drop(self.results.insert(stage.id.clone(), record)),
                Err(error) => {
                    self.attempts.interrupted = is_interruption(&error);
                    outcome = if self.attempts.interrupted { RunOutcome::Interrupted } else { RunOutcome::Failed };
                    (outside.emit)(RunEvent::StageFailed { stage: self.path(stage), error: error.to_string() });
                }
            }
        }
        outcome
    }

    /// Reuses or runs one stage.
    fn stage(&mut self, stage: &PipelineStage, outside: &mut Outside<'_>) -> Result<ActionRecord, ExecError> {
        if outside.cancelled.load(Ordering::Relaxed) {
            return Err(StageError::Interrupted.into());
        }
        let Some(inputs) = gather(stage, &self.results, self.cache)? else {
            return Err(StageError::Invalid("an input was not made".to_owned()).into());
        };
        let action = Action { stage, fingerprint: fingerprint(stage, &inputs)?, inputs };
        let (record, ran) = match self.decide(&action)? {
            Decision::Hit(record) => (*record, None),
            Decision::Run(changes) => self.attempt(action, changes, outside)?,
        };
        let result = self.result(stage, &record, self.place_outputs(stage, &record)?);
        (outside.emit)(match ran {
            None => RunEvent::StageReused(result),
            Some(unstable_inputs) => RunEvent::StageFinished(StageResult { unstable_inputs, ..result }),
        });
        self.heads.insert(stage.id.clone(), record.fingerprint.key());
        Ok(record)
    }

    fn decide(&self, action: &Action<'_>) -> Result<Decision, ExecError> {
        let (id, key) = (&action.stage.id, action.fingerprint.key());
        if let Some((stage, reason)) = self.attempts.failed.get(&key) {
            return Err(ExecError::FailedBefore { stage: stage.clone(), reason: reason.clone() });
        }
        if self.options.force.contains(id) && !self.attempts.succeeded.contains(&key) {
            return Ok(Decision::Run(vec![Change::Forced]));
        }
        let earlier = self.heads.get(id).map(|key| self.cache.action(key)).transpose()?.flatten();
        Ok(decide(&action.fingerprint, &action.inputs, earlier.as_ref(), self.cache)?)
    }

    /// Runs a stage and remembers how that ended.
    fn attempt(&mut self, action: Action<'_>, changes: Vec<Change>, outside: &mut Outside<'_>) -> Result<Done, ExecError> {
        let (key, stage) = (action.fingerprint.key(), self.path(action.stage));
        let done = self.run_locked(action, changes, outside);
        match &done {
            Ok(_) => drop(self.attempts.succeeded.insert(key)),
            Err(error) if is_interruption(error) => {}
            Err(error) => drop(self.attempts.failed.insert(key, (stage, error.to_string()))),
        }
        done
    }

    /// Runs a stage under its action's lock, unless another process has run it meanwhile.
    fn run_locked(&self, action: Action<'_>, changes: Vec<Change>, outside: &mut Outside<'_>) -> Result<Done, ExecError> {
        let Action { stage, fingerprint, inputs } = action;
        let holder = format!("process {} running stage {} of {}", std::process::id(), stage.id, self.plan.pipeline.place());
        let mut waited = false;
        let lock = self.cache.lock(&fingerprint.key(), &holder, |holder| {
            waited = true;
            (outside.emit)(RunEvent::StageWaiting { stage: self.path(stage), holder: holder.to_owned() });
        })?;
        if waited && let Decision::Hit(record) = decide(&fingerprint, &inputs, None, self.cache)? {
            return Ok((*record, None));
        }
        (outside.emit)(RunEvent::StageStarted { stage: self.path(stage), changes });
        let mut checkpoints = Checkpointing::of(stage, &fingerprint, self.cache)?;
        let job = StageJob {
            stage: stage.id.clone(),
            spec: stage.spec.clone(),
            inputs: inputs.job.clone(),
            out: lock.scratch().to_owned(),
            seed: stage.seed,
            device: self.options.device,
            resume: checkpoints.as_ref().and_then(Checkpointing::resume),
        };
        let started = Instant::now();
        let (output, metrics) = execute(&self.path(stage), &job, checkpoints.as_mut(), outside)?;
        let seconds = started.elapsed().as_secs_f64();
        let pipeline = self.plan.pipeline.place();
        let finished = Finished { job: &job, pipeline: &pipeline, fingerprint, inputs: &inputs, output, metrics, seconds };
        let (record, unstable) = publish(finished, self.cache)?;
        Ok((record, Some(unstable)))
    }

    fn place_outputs(&self, stage: &PipelineStage, record: &ActionRecord) -> Result<Vec<PathBuf>, CacheError> {
        let folder = self.project.output(&self.plan.pipeline.place(), stage.id.as_str());
        let mut files = Vec::new();
        for output in stage.spec.outputs() {
            if let Some(stored) = record.outputs.get(output.name) {
                let target = folder.join(&stored.file);
                place(self.cache, &stored.digest, &target)?;
                files.push(target);
            }
        }
        Ok(files)
    }

    fn result(&self, stage: &PipelineStage, record: &ActionRecord, files: Vec<PathBuf>) -> StageResult {
        StageResult {
            stage: self.path(stage),
            key: record.fingerprint.key(),
            seconds: record.provenance.seconds,
            metrics: record.metrics.clone(),
            output: record.result.clone(),
            files,
            unstable_inputs: Vec::new(),
        }
    }

    fn path(&self, stage: &PipelineStage) -> StagePath {
        self.plan.pipeline.stage_path(&stage.id)
    }

    fn missing_upstream(&self, stage: &PipelineStage) -> Option<StageId> {
        stage.inputs.iter().find_map(|input| match &input.source {
            PipelineInputSource::Output { stage, .. } if !self.results.contains_key(stage) => Some(stage.clone()),
            _ => None,
        })
    }
}

/// Runs the job in this process or in a worker; the metrics are those that it reported, in order.
fn execute(
    stage: &StagePath,
    job: &StageJob,
    mut checkpoints: Option<&mut Checkpointing<'_>>,
    outside: &mut Outside<'_>,
) -> Result<(StageOutput, Vec<Metric>), ExecError> {
    let mut metrics = Vec::new();
    let emit = &mut outside.emit;
    let mut hear = |said: StageEvent| {
        match (&said, &mut checkpoints) {
            (StageEvent::Metric { name, value }, _) => metrics.push(Metric { name: name.clone(), value: *value }),
            (StageEvent::Checkpoint { epoch, file }, Some(checkpoints)) => {
                if let Err(error) = checkpoints.keep(*epoch, &job.out.join(file)) {
                    let message = format!("the state after epoch {epoch} could not be kept: {error}");
                    emit(RunEvent::Stage { stage: stage.clone(), said: StageEvent::Warning { message } });
                }
            }
            _ => {}
        }
        emit(RunEvent::Stage { stage: stage.clone(), said });
    };
    let mut context = StageContext { emit: &mut hear, cancelled: outside.cancelled };
    let output = if job.spec.needs_worker() { worker::run(job, &mut context)? } else { stage::run(job, &mut context)? };
    Ok((output, metrics))
}

fn is_interruption(error: &ExecError) -> bool {
    matches!(error, ExecError::Stage(StageError::Interrupted) | ExecError::Worker(WorkerError::Interrupted))
}
