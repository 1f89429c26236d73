//! Whether a stage whose inputs are known has to run, and why.

use crate::cache::{ActionRecord, Cache};
use crate::key::{Change, Digest, Fingerprint, Listing};
use crate::manifest::PipelineStage;
use crate::plan::{GatheredInputs, PlanError};

/// What to do with a stage.
#[derive(Debug)]
pub enum Decision {
    /// The result is there.
    Hit(Box<ActionRecord>),
    /// It has to run, for these reasons.
    Run(Vec<Change>),
}

/// The fingerprint of a stage with these inputs.
pub fn fingerprint(stage: &PipelineStage, inputs: &GatheredInputs) -> Result<Fingerprint, PlanError> {
    let parameters = stage.spec.parameters().map_err(|source| PlanError::Parameters { stage: stage.id.clone(), source })?;
    Ok(Fingerprint {
        kind: stage.spec.kind().to_owned(),
        version: stage.spec.version(),
        parameters,
        inputs: inputs.digests.clone(),
        seed: stage.spec.uses_seed().then_some(stage.seed),
    })
}

/// Looks for the result of an action. `earlier` is what the stage last gave, to say what changed since.
pub fn decide(
    stage: &PipelineStage,
    fingerprint: &Fingerprint,
    inputs: &GatheredInputs,
    earlier: Option<&ActionRecord>,
    cache: &Cache,
) -> Result<Decision, PlanError> {
    if let Some(record) = cache.action(&fingerprint.key())? {
        return Ok(match cache.lost_output(&record)? {
            None => Decision::Hit(Box::new(record)),
            Some(output) => Decision::Run(vec![Change::Lost { output }]),
        });
    }
    let changes = earlier.map(|earlier| fingerprint.changes_from(&earlier.fingerprint)).unwrap_or_default();
    if changes.is_empty() {
        return Ok(Decision::Run(vec![Change::NeverRan]));
    }
    let told = |change| match change {
        Change::Parameter { path, old, new, .. } => Change::Parameter { place: stage.written.place(&path), path, old, new },
        change => by_file(change, inputs, cache),
    };
    Ok(Decision::Run(changes.into_iter().map(told).collect()))
}

/// A change of a folder or an archive, told by its files where both listings are known.
fn by_file(change: Change, inputs: &GatheredInputs, cache: &Cache) -> Change {
    let Change::Input { name, old: Some(old), new: Some(_) } = &change else { return change };
    let Some(new) = inputs.listings.get(name) else { return change };
    let Some(old) = read_listing(old, cache) else { return change };
    let (name, diff) = (name.clone(), new.diff_from(&old));
    if inputs.has_only_images(&name) { Change::Images { name, diff } } else { Change::Files { name, diff } }
}

fn read_listing(digest: &Digest, cache: &Cache) -> Option<Listing> {
    let bytes = cache.store().read(digest)?;
    Listing::parse(std::str::from_utf8(&bytes).ok()?)
}
