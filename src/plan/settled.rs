//! The stages whose results for their present inputs are there.

use std::collections::BTreeMap;

use crate::cache::{ActionRecord, Cache};
use crate::key::StageId;
use crate::manifest::PipelineStage;
use crate::plan::{Decision, GatheredInputs, Plan, PlanError, decide, fingerprint, gather};

/// A stage with its inputs and what it gave for them.
#[derive(Debug)]
pub struct Settled<'a> {
    pub stage: &'a PipelineStage,
    pub inputs: GatheredInputs,
    pub record: ActionRecord,
}

/// What is there of a plan.
#[derive(Debug)]
pub struct Settlement<'a> {
    /// In the plan's order, up to the first that has no result.
    pub stages: Vec<Settled<'a>>,
    /// That one.
    pub missing: Option<&'a StageId>,
}

/// Finds the results of a plan's stages.
pub fn settle<'a>(plan: &Plan<'a>, cache: &Cache) -> Result<Settlement<'a>, PlanError> {
    let mut results = BTreeMap::new();
    let mut stages = Vec::new();
    for &stage in plan.stages() {
        let missing = Some(&stage.id);
        let Some(inputs) = gather(stage, &results, cache)? else { return Ok(Settlement { stages, missing }) };
        let Decision::Hit(record) = decide(stage, &fingerprint(stage, &inputs)?, &inputs, None, cache)? else {
            return Ok(Settlement { stages, missing });
        };
        results.insert(stage.id.clone(), (*record).clone());
        stages.push(Settled { stage, inputs, record: *record });
    }
    Ok(Settlement { stages, missing: None })
}
