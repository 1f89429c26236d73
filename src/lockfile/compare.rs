//! Keeping to a lock: inputs and keys before anything runs, outputs after each stage.
//!
//! The keys of stages whose inputs are still to be made are known too: a locked run takes what the lock says their inputs will be.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::{ActionRecord, Cache};
use crate::key::{Change, StageId, StagePath};
use crate::lockfile::facts::{Fact, after, before};
use crate::lockfile::{Difference, LockError, Lockfile, Written};
use crate::manifest::PipelineStage;
use crate::plan::{Decision, GatheredInputs, Plan, PlanError, decide, fingerprint, gather_by};

/// No more reasons are told.
const SHOWN: usize = 3;

impl Lockfile {
    /// Compares what is known before a run: the stages that there are, their inputs from outside, and all keys.
    pub fn check_before(&self, plans: &[Plan<'_>], cache: &Cache) -> Result<(), LockError> {
        let _stay = cache.stay().map_err(PlanError::Cache)?;
        for plan in plans {
            for stage in plan.stages() {
                self.check_stage(plan, stage, cache)?;
            }
            self.check_names(plan)?;
        }
        Ok(())
    }

    /// Compares the outputs of a stage that ran or is reused.
    pub fn check_outputs(&self, stage: &StagePath, record: &ActionRecord) -> Result<(), Box<Difference>> {
        let name = stage.to_string();
        let Some(locked) = self.stages.get(&name) else { return Err(self.not_locked(&name)) };
        let actual: BTreeMap<Fact, String> = after(record).into_iter().collect();
        let is_output = |fact: &Fact| matches!(fact, Fact::Output(_));
        let Some(mut difference) = self.first_difference(&name, locked, &actual, is_output) else { return Ok(()) };
        let [before, now] = [locked.get(&Fact::Device).map(|written| &written.value), actual.get(&Fact::Device)];
        difference.notes.push(match (before, now) {
            (Some(before), Some(now)) if before != now => {
                format!("the locked one was made on {before}, this one on {now}, and other devices give other bits: `--device` picks one")
            }
            _ => "the same inputs gave other bytes: `packtrain check` runs the stage again and says how far they are apart".to_owned(),
        });
        difference.notes.push("to accept it, run without `--locked` and then `packtrain lock`".to_owned());
        Err(difference)
    }

    fn check_stage(&self, plan: &Plan<'_>, stage: &PipelineStage, cache: &Cache) -> Result<(), LockError> {
        let name = plan.pipeline.stage_path(&stage.id).to_string();
        let Some(locked) = self.stages.get(&name) else { return Err(self.not_locked(&name).into()) };
        let output = |from: &StageId, output: &str| self.output(&plan.pipeline.stage_path(from).to_string(), output);
        let Some(inputs) = gather_by(stage, &output, cache)? else {
            return Err(self.not_locked(&format!("what {name} takes from other stages")).into());
        };
        let actual = before(stage, &inputs)?.into_iter().collect();
        let Some(mut difference) = self.first_difference(&name, locked, &actual, Fact::is_known_before) else { return Ok(()) };
        difference.notes = self.reasons(locked, stage, &inputs, cache)?;
        Err(difference.into())
    }

    /// Why a stage has another key, if the locked result is in the cache.
    fn reasons(
        &self,
        locked: &BTreeMap<Fact, Written>,
        stage: &PipelineStage,
        inputs: &GatheredInputs,
        cache: &Cache,
    ) -> Result<Vec<String>, PlanError> {
        let key = locked.get(&Fact::Key).and_then(|written| written.value.parse().ok());
        let earlier = key.map(|key| cache.action(&key)).transpose()?.flatten();
        let Some(earlier) = earlier else { return Ok(Vec::new()) };
        let fingerprint = fingerprint(stage, inputs)?;
        let changes = match decide(stage, &fingerprint, inputs, Some(&earlier), cache)? {
            Decision::Run(changes) => changes,
            Decision::Hit(_) => fingerprint.changes_from(&earlier.fingerprint),
        };
        Ok(changes.iter().take(SHOWN).map(Change::to_string).collect())
    }

    /// A stage of the lock that the pipeline does not have.
    fn check_names(&self, plan: &Plan<'_>) -> Result<(), LockError> {
        let known: BTreeSet<String> = plan.pipeline.stages.iter().map(|stage| plan.pipeline.stage_path(&stage.id).to_string()).collect();
        let variant = |name: &str| name.rsplit_once('/').map(|(variant, _)| variant.to_owned());
        let own = plan.pipeline.variant.as_ref().map(|variant| variant.name.to_string());
        let unknown = self.stages.iter().find(|(name, _)| variant(name) == own && !known.contains(*name));
        let Some((name, facts)) = unknown else { return Ok(()) };
        let line = facts.values().map(|written| written.line).min();
        let (what, expected) = (format!("the stage {name}"), Some(name.clone()));
        Err(Box::new(Difference { path: self.path.clone(), line, what, expected, actual: None, notes: Vec::new() }).into())
    }

    fn first_difference(
        &self,
        name: &str,
        locked: &BTreeMap<Fact, Written>,
        actual: &BTreeMap<Fact, String>,
        counts: impl Fn(&Fact) -> bool,
    ) -> Option<Box<Difference>> {
        let facts: BTreeSet<&Fact> = locked.keys().chain(actual.keys()).filter(|fact| counts(fact)).collect();
        let differs = |fact: &&&Fact| locked.get(**fact).map(|written| &written.value) != actual.get(**fact);
        let fact = *facts.iter().find(differs)?;
        let written = locked.get(fact);
        Some(Box::new(Difference {
            path: self.path.clone(),
            line: written.map(|written| written.line),
            what: format!("the {fact} of {name}"),
            expected: written.map(|written| written.value.clone()),
            actual: actual.get(fact).cloned(),
            notes: Vec::new(),
        }))
    }

    fn not_locked(&self, what: &str) -> Box<Difference> {
        let (line, expected, actual) = (None, None, None);
        Box::new(Difference { path: self.path.clone(), line, what: what.to_owned(), expected, actual, notes: Vec::new() })
    }
}
