//! From a finished job to a cached result: outputs checked, inputs compared, objects stored, the record last.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::artifact::{ArtifactError, Evaluation, FeaturesFile, History, ImagesFile, Mean, ModelFile, OversampleEvaluation};
use crate::cache::{ActionRecord, Cache, CacheError, Effort, Provenance, StoredFile};
use crate::event::{Metric, StageOutput};
use crate::exec::ExecError;
use crate::key::{Digest, Fingerprint, TrajectoryKey};
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
    let Stored { outputs, row_sources, listings } = store(job, finished.inputs, cache)?;
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

/// What the store has of a result.
struct Stored {
    outputs: BTreeMap<String, StoredFile>,
    row_sources: BTreeMap<String, Digest>,
    listings: Vec<Digest>,
}

/// Stores all files at once.
fn store(job: &StageJob, inputs: &GatheredInputs, cache: &Cache) -> Result<Stored, CacheError> {
    let outputs = job.spec.outputs();
    let with_rows = outputs_with_rows(job);
    let mut files: Vec<PathBuf> = outputs.iter().map(|output| job.out.join(&*output.file)).collect();
    let size = |path: &PathBuf| std::fs::metadata(path).map(|metadata| metadata.len()).map_err(failed(path));
    let sizes: Vec<u64> = files.iter().map(size).collect::<Result<_, CacheError>>()?;
    files.extend(with_rows.iter().map(|name| job.row_sources(name)));
    files.extend(write_new_listings(job, inputs, cache)?);
    let mut digests = cache.store().insert_all(&files, cache.memo())?.into_iter();
    let stored = |((output, size), digest): ((&OutputDecl, u64), Digest)| {
        (output.name.to_string(), StoredFile { file: output.file.to_string(), digest, size })
    };
    let outputs = outputs.iter().zip(sizes).zip(digests.by_ref()).map(stored).collect();
    let row_sources = with_rows.into_iter().zip(digests).collect();
    let listings = inputs.listings.keys().filter_map(|name| inputs.digests.get(name).copied()).collect();
    Ok(Stored { outputs, row_sources, listings })
}

/// The outputs of which the stage says what their rows are made of.
fn outputs_with_rows(job: &StageJob) -> Vec<String> {
    // Other kinds may have outputs with any name.
    match job.spec.parameters_beside_rows() {
        Some(_) => job.spec.outputs().into_iter().map(|output| output.name.into_owned()).collect(),
        None => Vec::new(),
    }
}

/// Writes the listings that the store does not have yet into the scratch folder, under names that no output has.
fn write_new_listings(job: &StageJob, inputs: &GatheredInputs, cache: &Cache) -> Result<Vec<PathBuf>, CacheError> {
    let mut written = Vec::new();
    for (name, listing) in &inputs.listings {
        let Some(digest) = inputs.digests.get(name).filter(|digest| !cache.store().path(digest).exists()) else { continue };
        let path = job.out.join(digest.to_string());
        if !written.contains(&path) {
            std::fs::write(&path, listing.to_text()).map_err(failed(&path))?;
            written.push(path);
        }
    }
    Ok(written)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> CacheError {
    move |source| CacheError { path: path.to_owned(), source }
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
