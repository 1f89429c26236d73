//! Which stages of a pipeline a run is about.

use std::collections::BTreeSet;

use crate::key::StageId;
use crate::plan::graph::{Plan, upstream};

/// What was chosen; where nothing is given, all stages. With several of the three, what all of them choose.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These stages alone.
    pub only: BTreeSet<StageId>,
    /// These stages and all that need them.
    pub from: BTreeSet<StageId>,
    /// These stages and all that they need.
    pub until: BTreeSet<StageId>,
}

impl Selection {
    /// Whether anything is left out.
    pub fn is_everything(&self) -> bool {
        self.only.is_empty() && self.from.is_empty() && self.until.is_empty()
    }

    /// Every stage that is named.
    pub fn named(&self) -> impl Iterator<Item = &StageId> {
        self.only.iter().chain(&self.from).chain(&self.until)
    }

    /// The stages of a plan that are chosen.
    pub(super) fn of(&self, plan: &Plan<'_>) -> BTreeSet<StageId> {
        let mut chosen: BTreeSet<StageId> = plan.stages().iter().map(|stage| stage.id.clone()).collect();
        let mut keep = |set: BTreeSet<StageId>| chosen.retain(|id| set.contains(id));
        if !self.only.is_empty() {
            keep(self.only.clone());
        }
        if !self.from.is_empty() {
            keep(with_downstream(plan, &self.from));
        }
        if !self.until.is_empty() {
            keep(with_upstream(plan, &self.until));
        }
        chosen
    }
}

fn with_downstream(plan: &Plan<'_>, stages: &BTreeSet<StageId>) -> BTreeSet<StageId> {
    let mut reached = stages.clone();
    for stage in plan.stages() {
        if upstream(stage).any(|id| reached.contains(id)) {
            reached.insert(stage.id.clone());
        }
    }
    reached
}

/// The stages and all that they need, directly or not.
pub(super) fn with_upstream(plan: &Plan<'_>, stages: &BTreeSet<StageId>) -> BTreeSet<StageId> {
    let mut reached = stages.clone();
    for stage in plan.stages().iter().rev() {
        if reached.contains(&stage.id) {
            reached.extend(upstream(stage).cloned());
        }
    }
    reached
}
