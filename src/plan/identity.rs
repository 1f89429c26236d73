//! Which stages of several variants are the same, known from the manifest alone.

use std::collections::BTreeMap;

use serde_json::json;

use crate::key::{Digest, StageId};
use crate::manifest::{PipelineInputSource, PipelineStage};
use crate::plan::{Plan, PlanError};

/// By stage of a plan: stages with equal identities give the same result as long as nothing outside changes.
pub(super) fn identities(plan: &Plan<'_>) -> Result<BTreeMap<StageId, Digest>, PlanError> {
    let mut identities = BTreeMap::new();
    for stage in plan.stages() {
        let identity = identity(stage, &identities)?;
        identities.insert(stage.id.clone(), identity);
    }
    Ok(identities)
}

fn identity(stage: &PipelineStage, upstream: &BTreeMap<StageId, Digest>) -> Result<Digest, PlanError> {
    let parameters = stage.spec.parameters().map_err(|source| PlanError::Parameters { stage: stage.id.clone(), source })?;
    let source = |source: &PipelineInputSource| match source {
        PipelineInputSource::Output { stage, output } => json!({ "output": output, "of": upstream.get(stage).map(Digest::to_string) }),
        PipelineInputSource::File(path) => json!({ "file": path }),
        PipelineInputSource::ImageFolder(path) | PipelineInputSource::Folder(path) => json!({ "folder": path }),
    };
    let inputs: Vec<_> = stage.inputs.iter().map(|input| json!([input.name, source(&input.source)])).collect();
    let seed = stage.spec.uses_seed().then_some(stage.seed);
    let facts = json!({ "kind": stage.spec.kind(), "parameters": parameters, "inputs": inputs, "seed": seed });
    Ok(Digest::of_bytes(facts.to_string().as_bytes()))
}
