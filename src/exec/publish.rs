//! From a finished job to a cached result: outputs checked, inputs compared, objects stored, the record last.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::artifact::{ArtifactError, Evaluation, FeaturesFile, History, ImagesFile, Mean, ModelFile, OversampleEvaluation};
use crate::cache::{ActionRecord, Cache, CacheError, Effort, Provenance, StoredFile};
use crate::event::{Metric, StageOutput};
use crate::exec::ExecError;
use crate::key::{Digest, Fingerprint, Listing, TrajectoryKey};
use crate::plan::GatheredInputs;
use crate::stage::{ArtifactType, OutputDecl, StageJob, StageSpec};

/// A job that ended well.
pub(super) struct Finished<'a> {
    pub(super) job: &'a StageJob,
    pub(super) pipeline: &'a str,
    pub(super) fingerprint: Fingerprint,
    pub(super) inputs: &'a GatheredInputs,
    pub(super) output: StageOutput,
    pub(super) metrics: Vec<Metric>,
    /// Of a training, the states on its way.
    pub(super) states: Vec<TrajectoryKey>,
    pub(super) seconds: f64,
    pub(super) effort: Effort,
}

/// Stores the outputs and publishes the record. The second value lists the inputs that changed while the stage ran; if
/// there is any, the record is not published, because nobody can say which content the result belongs to.
pub(super) fn publish(finished: Finished<'_>, cache: &Cache) -> Result<(ActionRecord, Vec<PathBuf>), ExecError> {
    let job = finished.job;
    check_outputs(job)?;
    let mut outputs = BTreeMap::new();
    for output in job.spec.outputs() {
        outputs.insert(output.name.to_string(), store(&output, &job.out, cache)?);
    }
    let store_listing = |listing: &Listing| cache.store().insert_bytes(listing.to_text().as_bytes(), &job.out, cache.memo());
    let listings: Vec<Digest> = finished.inputs.listings.values().map(store_listing).collect::<Result<_, CacheError>>()?;
    let row_sources = store_row_sources(job, cache)?;
    let provenance = Provenance {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        pipeline: finished.pipeline.to_owned(),
        stage: job.stage.clone(),
        finished: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        seconds: finished.seconds,
        effort: Some(finished.effort),
    };
    let mut record = ActionRecord::new(finished.fingerprint, outputs, provenance);
    record.metrics = finished.metrics;
    record.result = finished.output;
    record.listings = listings;
    record.row_sources = row_sources;
    record.states = finished.states;
    let unstable = finished.inputs.unstable();
    if unstable.is_empty() {
        cache.publish(&record)?;
    }
    Ok((record, unstable))
}

fn store(output: &OutputDecl, folder: &Path, cache: &Cache) -> Result<StoredFile, CacheError> {
    let path = folder.join(&*output.file);
    let size = std::fs::metadata(&path).map_err(|source| CacheError { path: path.clone(), source })?.len();
    Ok(StoredFile { file: output.file.to_string(), digest: cache.store().insert(&path, cache.memo())?, size })
}

/// What the stage says of its rows, by output.
fn store_row_sources(job: &StageJob, cache: &Cache) -> Result<BTreeMap<String, Digest>, CacheError> {
    let mut stored = BTreeMap::new();
    // Other kinds may have outputs with any name.
    if job.spec.parameters_beside_rows().is_none() {
        return Ok(stored);
    }
    for OutputDecl { name, .. } in job.spec.outputs() {
        let sources = job.row_sources(&name);
        stored.insert(name.into_owned(), cache.store().insert(&sources, cache.memo())?);
    }
    Ok(stored)
}

/// A stage has only succeeded if every output that it declares is there, is its own, and opens.
pub(super) fn check_outputs(job: &StageJob) -> Result<(), ExecError> {
    job.spec.outputs().iter().try_for_each(|output| check(&job.spec, output, &job.out.join(&*output.file)))
}

fn check(spec: &StageSpec, output: &OutputDecl, path: &Path) -> Result<(), ExecError> {
    let name = || output.name.to_string();
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Err(ExecError::NoOutput { output: name(), file: output.file.to_string() });
    };
    if let Some(reason) = foreign(&metadata) {
        return Err(ExecError::Output { output: name(), reason: format!("{} is {reason}", output.file) });
    }
    open(spec, output, path).map_err(|error| ExecError::Output { output: name(), reason: error.to_string() })
}

/// Why a file cannot be taken over. The store moves it and makes it read-only, and a command may have left anything there.
fn foreign(metadata: &Metadata) -> Option<&'static str> {
    match metadata.file_type() {
        kind if kind.is_dir() => Some("a folder, not a file"),
        kind if kind.is_symlink() => Some("a link; write a file instead"),
        kind if !kind.is_file() => Some("no regular file"),
        _ if metadata.nlink() > 1 => Some("another file too, by a hard link; write a file of its own"),
        _ => None,
    }
}

fn open(spec: &StageSpec, output: &OutputDecl, path: &Path) -> Result<(), ArtifactError> {
    match output.artifact {
        ArtifactType::Images => ImagesFile::open(path).map(drop),
        ArtifactType::Features => FeaturesFile::open(path).map(drop),
        ArtifactType::Mean => Mean::read(path).map(drop),
        ArtifactType::Model | ArtifactType::Weights => ModelFile::read(path).map(drop),
        ArtifactType::History => History::read(path).map(drop),
        ArtifactType::Evaluation if matches!(spec, StageSpec::OversampleEval(_)) => OversampleEvaluation::read(path).map(drop),
        ArtifactType::Evaluation => Evaluation::read(path).map(drop),
        ArtifactType::Predictions | ArtifactType::Table | ArtifactType::Figure | ArtifactType::File => Ok(()),
    }
}
