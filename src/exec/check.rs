//! Running a stage again, aside: nothing is published but the verdict, and no earlier work spares any of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::artifact::{ArtifactError, Distance};
use crate::cache::{Cache, Check, Pins, Verdict};
use crate::event::{Metric, RunEvent, StageEvent, StageOutput, StageResult};
use crate::exec::action::execute;
use crate::exec::publish::check_outputs;
use crate::exec::{ExecError, Stop};
use crate::key::{ActionKey, Change, Digest, Fingerprint, StagePath};
use crate::plan::{Plan, RowImages, Settled, settle};
use crate::stage::{ArtifactType, Device, OutputDecl, StageContext, StageJob, StageSpec, TimeLimit};

/// How to check.
#[derive(Debug, Clone, Copy)]
pub struct CheckOptions {
    pub device: Device,
    /// The greatest share by which numbers may differ.
    pub tolerance: f64,
}

/// What a rerun gave, beside the result that is there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CheckOutcome {
    #[serde(flatten)]
    pub stage: StagePath,
    #[serde(flatten)]
    pub check: Check,
    /// The device of the result that is there, where a network ran.
    pub device_before: Option<String>,
    pub outputs: Vec<ComparedOutput>,
}

/// An output of both.
#[derive(Debug, Serialize)]
pub struct ComparedOutput {
    pub output: String,
    #[serde(flatten)]
    pub distance: Distance,
    /// It is a drawing of what other outputs hold, which decide.
    #[serde(skip)]
    is_drawing: bool,
}

/// Where a check reports, and whether it should stop.
pub struct CheckOutside<'a> {
    pub emit: &'a mut (dyn FnMut(RunEvent) + Send),
    pub stop: &'a Stop,
}

/// Runs the last stage of a plan again and compares; the result of every stage has to be there.
pub fn check(plan: &Plan<'_>, cache: &Cache, options: CheckOptions, outside: &mut CheckOutside<'_>) -> Result<CheckOutcome, ExecError> {
    let stay = cache.stay()?;
    let settlement = settle(plan, cache)?;
    let (None, Some((checked, needed))) = (settlement.missing, settlement.stages.split_last()) else {
        return Err(ExecError::Unsettled { stage: settlement.missing.map(ToString::to_string).unwrap_or_default() });
    };
    let path = plan.pipeline.stage_path(&checked.stage.id);
    let holder = format!("process {} checking stage {path} of {}", std::process::id(), plan.pipeline.name);
    let waiting = |holder: &str| (outside.emit)(RunEvent::StageWaiting { stage: path.clone(), holder: holder.to_owned() });
    let pins = Pins::of_results(needed.iter().chain([checked]).map(|settled| &settled.record));
    let lock = stay.away(&pins, || cache.lock(&key_of_check(&checked.record.fingerprint), &holder, waiting))??;
    let packed_rows = RowImages::of(checked.stage, &checked.inputs, cache)?.into_packed();
    let job = StageJob { packed_rows, ..job(checked, lock.scratch(), options.device) };
    let started = Instant::now();
    let (output, metrics) = stay.away(&pins, || rerun(&job, checked, &path, outside))??;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(changed) = checked.inputs.unstable().into_iter().next() {
        return Err(ExecError::Unstable { path: changed });
    }
    check_outputs(&job)?;
    let outputs: Vec<ComparedOutput> =
        job.spec.outputs().iter().map(|output| compare(output, checked, &job, cache)).collect::<Result<_, _>>()?;
    let check = Check {
        verdict: verdict(&outputs, options.tolerance),
        tolerance: options.tolerance,
        finished: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        device: output.device.clone(),
    };
    cache.remember_check(&checked.record, &check)?;
    let key = checked.record.fingerprint.key();
    let result = StageResult {
        stage: path.clone(),
        key,
        seconds,
        metrics,
        output,
        files: Vec::new(),
        from_remote: None,
        unstable_inputs: Vec::new(),
    };
    (outside.emit)(RunEvent::StageFinished(result));
    Ok(CheckOutcome { stage: path, check, device_before: checked.record.result.device.clone(), outputs })
}

/// Names the scratch folder: another than that of a run of the stage, which may go on beside.
fn key_of_check(fingerprint: &Fingerprint) -> ActionKey {
    Fingerprint { kind: format!("check {}", fingerprint.kind), ..fingerprint.clone() }.key()
}

/// From the beginning, and no row copied.
fn job(checked: &Settled<'_>, out: &Path, device: Device) -> StageJob {
    StageJob {
        stage: checked.stage.id.clone(),
        spec: checked.stage.spec.clone(),
        inputs: checked.inputs.job(),
        out: out.to_owned(),
        seed: checked.stage.seed,
        device,
        threads: None,
        resume: None,
        packed_rows: BTreeMap::new(),
        earlier: Vec::new(),
    }
}

fn rerun(
    job: &StageJob,
    checked: &Settled<'_>,
    path: &StagePath,
    outside: &mut CheckOutside<'_>,
) -> Result<(StageOutput, Vec<Metric>), ExecError> {
    let CheckOutside { emit, stop } = outside;
    emit(RunEvent::StageStarted { stage: path.clone(), key: checked.record.fingerprint.key(), changes: vec![Change::Forced] });
    let mut metrics = Vec::new();
    let mut hear = |said: StageEvent| {
        match &said {
            StageEvent::Metric { name, value } => metrics.push(Metric { name: name.clone(), value: *value }),
            // A state that cannot be removed now goes with the scratch folder.
            StageEvent::Checkpoint { file, .. } => drop(fs::remove_file(job.out.join(file))),
            _ => {}
        }
        emit(RunEvent::Stage { stage: path.clone(), said });
    };
    let deadline = checked.stage.execution.timeout.map(|TimeLimit(limit)| Instant::now() + limit);
    let output = execute(job, &mut StageContext { emit: &mut hear, cancelled: stop.cancelled(), deadline })?;
    Ok((output, metrics))
}

fn compare(output: &OutputDecl, checked: &Settled<'_>, job: &StageJob, cache: &Cache) -> Result<ComparedOutput, ExecError> {
    let new = job.out.join(&*output.file);
    let is_drawing = output.artifact == ArtifactType::Figure && !matches!(job.spec, StageSpec::Command(_));
    let compared = |distance| ComparedOutput { output: output.name.to_string(), distance, is_drawing };
    let Some(stored) = checked.record.outputs.get(&*output.name) else {
        return Ok(compared(Distance::Form { reason: "the result does not have it".to_owned() }));
    };
    let digest = Digest::of_file(&new).map_err(|source| crate::cache::CacheError { path: new.clone(), source })?;
    let distance = if digest == stored.digest { Ok(Distance::None) } else { distance(output, &cache.store().path(&stored.digest), &new) };
    let distance = distance.map_err(|error| ExecError::Output { output: output.name.to_string(), reason: error.to_string() })?;
    Ok(compared(distance))
}

fn distance(output: &OutputDecl, old: &Path, new: &Path) -> Result<Distance, ArtifactError> {
    match output.artifact {
        ArtifactType::Images => Distance::of_images(old, new),
        ArtifactType::Features => Distance::of_features(old, new),
        ArtifactType::Model | ArtifactType::Weights => Distance::of_models(old, new),
        ArtifactType::Mean | ArtifactType::History | ArtifactType::Evaluation => Distance::of_json(old, new),
        ArtifactType::Predictions | ArtifactType::Table => Distance::of_tables(old, new),
        ArtifactType::Figure | ArtifactType::File => Distance::of_bytes(old, new),
    }
}

fn verdict(outputs: &[ComparedOutput], tolerance: f64) -> Verdict {
    let mut deciding = outputs.iter().filter(|output| !output.is_drawing).map(|output| &output.distance);
    match () {
        () if outputs.iter().all(|output| output.distance == Distance::None) => Verdict::BitExact,
        () if deciding.all(|distance| distance.is_within(tolerance)) => Verdict::WithinTolerance,
        () => Verdict::Different,
    }
}
