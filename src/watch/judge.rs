//! Whether what is running is still wanted after a change.
//!
//! A stage that runs is wanted if a run of the changed manifest would ask for the very same action. One whose key cannot be known
//! yet, because what it needs is to be made anew, is moot: its inputs are.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::RunEvent;
use crate::key::{ActionKey, StagePath};

/// Hears a run and knows what is wanted since the last change, if there was any.
#[derive(Debug, Default)]
pub struct Judge {
    running: BTreeMap<StagePath, ActionKey>,
    wanted: Option<BTreeSet<ActionKey>>,
}

/// The running stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub wanted: Vec<StagePath>,
    pub moot: Vec<StagePath>,
}

impl Judge {
    /// Takes in an event of the run. Whether a stage has begun that is no longer wanted, as one can that was about to.
    pub fn hear(&mut self, event: &RunEvent) -> bool {
        match event {
            RunEvent::StageStarted { stage, key, .. } => {
                self.running.insert(stage.clone(), *key);
                return !self.is_wanted(key);
            }
            RunEvent::StageFinished(result) | RunEvent::StageReused(result) => {
                self.running.remove(&result.stage);
            }
            RunEvent::StageFailed { stage, .. } | RunEvent::StageSuperseded { stage, .. } => {
                self.running.remove(stage);
            }
            _ => {}
        }
        false
    }

    /// After a change these actions are asked for.
    pub fn judge(&mut self, wanted: BTreeSet<ActionKey>) -> Verdict {
        self.wanted = Some(wanted);
        let (wanted, moot): (Vec<_>, Vec<_>) = self.running.iter().partition(|(_, key)| self.is_wanted(key));
        let paths = |stages: Vec<(&StagePath, &ActionKey)>| stages.into_iter().map(|(path, _)| path.clone()).collect();
        Verdict { wanted: paths(wanted), moot: paths(moot) }
    }

    fn is_wanted(&self, key: &ActionKey) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Fingerprint;

    fn key(seed: u64) -> ActionKey {
        let (kind, parameters) = ("pack".to_owned(), serde_json::Value::Null);
        Fingerprint { kind, version: 1, parameters, inputs: BTreeMap::new(), seed: Some(seed) }.key()
    }

    fn path(stage: &str) -> StagePath {
        StagePath { variant: None, stage: stage.parse().unwrap() }
    }

    fn started(stage: &str, seed: u64) -> RunEvent {
        RunEvent::StageStarted { stage: path(stage), key: key(seed), changes: Vec::new() }
    }

    #[test]
    fn what_runs_is_wanted_as_long_as_the_same_action_is_asked_for() {
        let mut judge = Judge::default();
        assert!(!judge.hear(&started("a", 1)) && !judge.hear(&started("b", 2)));
        let verdict = judge.judge(BTreeSet::from([key(1), key(3)]));
        assert_eq!(verdict, Verdict { wanted: vec![path("a")], moot: vec![path("b")] });
        judge.hear(&RunEvent::StageSuperseded { stage: path("b"), training: None });
        assert_eq!(judge.judge(BTreeSet::from([key(1)])), Verdict { wanted: vec![path("a")], moot: Vec::new() });
    }

    #[test]
    fn a_stage_that_begins_after_the_change_is_judged_too() {
        let mut judge = Judge::default();
        judge.judge(BTreeSet::from([key(1)]));
        assert!(!judge.hear(&started("a", 1)));
        assert!(judge.hear(&started("b", 2)));
    }
}
