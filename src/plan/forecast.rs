//! What a run would do with every stage, as far as can be known before it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cache::{ActionRecord, Cache};
use crate::key::{ActionKey, Change, StageId};
use crate::plan::graph::upstream;
use crate::plan::{Decision, Plan, PlanError, decide, fingerprint, gather};

/// What a run would do with one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    pub stage: StageId,
    pub kind: &'static str,
    #[serde(flatten)]
    pub outlook: Outlook,
}

/// A stage's future.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outlook", rename_all = "kebab-case")]
pub enum Outlook {
    /// Its result is there.
    Reuse { key: ActionKey, seconds: f64 },
    /// It will run.
    Run { changes: Vec<Change> },
    /// Whether it runs depends on what these stages give.
    Unknown { until: Vec<StageId> },
}

/// Foretells a run of the plan, stage by stage in order.
pub fn forecast(plan: &Plan<'_>, cache: &Cache) -> Result<Vec<Forecast>, PlanError> {
    let heads = cache.heads(&plan.pipeline.name);
    let mut results: BTreeMap<StageId, ActionRecord> = BTreeMap::new();
    let mut forecasts = Vec::new();
    for stage in plan.stages() {
        let outlook = match gather(stage, &results, cache)? {
            None => {
                let mut until: Vec<StageId> = upstream(stage).filter(|id| !results.contains_key(id)).cloned().collect();
                until.dedup();
                Outlook::Unknown { until }
            }
            Some(inputs) => {
                let fingerprint = fingerprint(stage, &inputs)?;
                let earlier = heads.get(&stage.id).map(|key| cache.action(key)).transpose()?.flatten();
                match decide(&fingerprint, &inputs, earlier.as_ref(), cache)? {
                    Decision::Run(changes) => Outlook::Run { changes },
                    Decision::Hit(record) => {
                        let outlook = Outlook::Reuse { key: fingerprint.key(), seconds: record.provenance.seconds };
                        results.insert(stage.id.clone(), *record);
                        outlook
                    }
                }
            }
        };
        forecasts.push(Forecast { stage: stage.id.clone(), kind: stage.spec.kind(), outlook });
    }
    Ok(forecasts)
}
