//! What a run would do with every stage, as far as can be known before it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::cache::{ActionRecord, Cache};
use crate::event::RowCounts;
use crate::key::{ActionKey, Change, Digest, StageId, StagePath};
use crate::manifest::PipelineStage;
use crate::plan::estimate::Task;
use crate::plan::graph::upstream;
use crate::plan::identity::identities;
use crate::plan::{Decision, Experience, Plan, PlanError, ReusableRows, RowImages, TrainingStart, Trajectory, decide, fingerprint, gather};

/// What a run would do with one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    #[serde(flatten)]
    pub stage: StagePath,
    pub kind: &'static str,
    #[serde(flatten)]
    pub outlook: Outlook,
    /// How long it will take if it runs, as far as earlier results tell; of a stage that is reused or shared, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_seconds: Option<f64>,
}

/// A stage's future.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outlook", rename_all = "kebab-case")]
pub enum Outlook {
    /// Its result is there.
    Reuse { key: ActionKey, seconds: f64 },
    /// It will run; a training perhaps from a state that is there, a kind with a row for every image perhaps with rows that are
    /// there.
    Run { changes: Vec<Change>, training: Option<TrainingStart>, rows: Option<RowCounts> },
    /// Whether it runs depends on what these stages give.
    Unknown { until: Vec<StageId> },
    /// Its result is not there, and it was not chosen to run.
    LeftOut,
    /// It is the same as a stage of an earlier variant, which comes first.
    Shared { with: StagePath },
}

/// Foretells a run of the plans of a manifest's variants, stage by stage in order.
pub fn forecast(plans: &[Plan<'_>], cache: &Cache) -> Result<Vec<Forecast>, PlanError> {
    let mut forecasts = Vec::new();
    let mut to_be_made: BTreeMap<Digest, StagePath> = BTreeMap::new();
    let experience = Experience::new(cache);
    for plan in plans {
        let identities = identities(plan)?;
        let mut variant =
            VariantForecast { cache, experience: &experience, heads: cache.heads(&plan.pipeline.place()), results: BTreeMap::new() };
        for stage in plan.stages() {
            let (mut outlook, mut estimated_seconds) = variant.outlook(stage)?;
            let path = plan.pipeline.stage_path(&stage.id);
            if matches!(outlook, Outlook::Run { .. }) && !plan.may_run(&stage.id) {
                (outlook, estimated_seconds) = (Outlook::LeftOut, None);
            }
            if !matches!(outlook, Outlook::Reuse { .. } | Outlook::LeftOut)
                && let Some(identity) = identities.get(&stage.id)
            {
                let first = to_be_made.entry(*identity).or_insert_with(|| path.clone());
                if *first != path {
                    (outlook, estimated_seconds) = (Outlook::Shared { with: first.clone() }, None);
                }
            }
            forecasts.push(Forecast { stage: path, kind: stage.spec.kind(), outlook, estimated_seconds });
        }
    }
    Ok(forecasts)
}

/// The keys of all actions that a run of the plans would ask for now, whether their results are there or not. Those of stages whose
/// inputs are still to be made are not known.
pub fn wanted_keys(plans: &[Plan<'_>], cache: &Cache) -> Result<BTreeSet<ActionKey>, PlanError> {
    let _stay = cache.stay()?;
    let mut keys = BTreeSet::new();
    for plan in plans {
        let mut results = BTreeMap::new();
        for stage in plan.stages() {
            let Some(inputs) = gather(stage, &results, cache)? else { continue };
            let fingerprint = fingerprint(stage, &inputs)?;
            keys.insert(fingerprint.key());
            if let Decision::Hit(record) = decide(stage, &fingerprint, &inputs, None, cache)? {
                results.insert(stage.id.clone(), *record);
            }
        }
    }
    Ok(keys)
}

struct VariantForecast<'a> {
    cache: &'a Cache,
    experience: &'a Experience<'a>,
    heads: BTreeMap<StageId, ActionKey>,
    /// Of the stages whose results are there.
    results: BTreeMap<StageId, ActionRecord>,
}

impl VariantForecast<'_> {
    /// The outlook, and how long the stage would take to run.
    fn outlook(&mut self, stage: &PipelineStage) -> Result<(Outlook, Option<f64>), PlanError> {
        let earlier = self.heads.get(&stage.id).map(|key| self.cache.action(key)).transpose()?.flatten();
        let Some(inputs) = gather(stage, &self.results, self.cache)? else {
            let mut until: Vec<StageId> = upstream(stage).filter(|id| !self.results.contains_key(id)).cloned().collect();
            until.dedup();
            return Ok((Outlook::Unknown { until }, earlier.map(|record| record.provenance.seconds)));
        };
        let fingerprint = fingerprint(stage, &inputs)?;
        Ok(match decide(stage, &fingerprint, &inputs, earlier.as_ref(), self.cache)? {
            Decision::Run(changes) => {
                let trajectory = Trajectory::of(stage, &fingerprint)?;
                let training = trajectory.map(|trajectory| trajectory.start(earlier.as_ref(), self.cache)).transpose()?;
                let images = RowImages::of(stage, &inputs, self.cache)?;
                let rows = ReusableRows::find(stage, &fingerprint, &images, self.experience)?.map(|rows| rows.counts);
                let epochs = training.as_ref().map_or(0, |training: &TrainingStart| training.point.epochs - training.point.after_epoch);
                let task = Task { fingerprint: &fingerprint, amount: inputs.amount(stage), rows, epochs };
                let seconds = self.experience.seconds(&task, earlier.as_ref())?;
                (Outlook::Run { changes, training, rows }, seconds)
            }
            Decision::Hit(record) => {
                let outlook = Outlook::Reuse { key: fingerprint.key(), seconds: record.provenance.seconds };
                self.results.insert(stage.id.clone(), *record);
                (outlook, None)
            }
        })
    }
}
