//! Which states of a training are kept, and what they are named by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stage::{Schedule, Train};

/// Which states of a training are kept to start from: those after every few epochs, those where a phase ends, and one when two minutes
/// have passed since the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Checkpoints {
    /// Keep the state after every so many epochs.
    #[serde(default = "Checkpoints::five")]
    #[schemars(range(min = 1))]
    pub every: u32,
    /// Of those, how many of the last to keep. The ends of phases and of the training are kept besides.
    #[serde(default = "Checkpoints::three")]
    #[schemars(range(min = 1))]
    pub keep: u32,
}

/// The parameters that concern only some epochs, or none.
const LATER_OR_NEVER: [&str; 4] = ["epochs", "schedule", "warmup", "checkpoints"];

impl Train {
    /// Of the parameters of the action key, those that count in every epoch.
    pub(in crate::stage) fn constant_parameters(&self, mut parameters: Value) -> Value {
        if let Value::Object(map) = &mut parameters {
            LATER_OR_NEVER.iter().for_each(|name| drop(map.shift_remove(*name)));
            let optimizers = map.get_mut("optimizer").and_then(Value::as_object_mut);
            for options in optimizers.into_iter().flat_map(serde_json::Map::values_mut).filter_map(Value::as_object_mut) {
                options.shift_remove("lr");
            }
        }
        parameters
    }

    /// The epochs, counted from 1, after which the state is to be kept, in order.
    pub fn checkpoint_epochs(&self) -> Vec<u32> {
        let ends = self.phase_ends();
        (1..=self.total_epochs()).filter(|epoch| epoch % self.checkpoints.every == 0 || ends.contains(epoch)).collect()
    }

    /// The epochs after which a phase of the schedule or the training ends: places where an experimenter goes on differently.
    pub fn phase_ends(&self) -> Vec<u32> {
        let total = self.total_epochs();
        let mut ends = Vec::new();
        if let Schedule::Phases(phases) = &self.schedule {
            let mut end = 0;
            ends.extend(phases.iter().map(|phase| {
                end += phase.epochs;
                end.min(total)
            }));
        }
        ends.push(total);
        ends.dedup();
        ends
    }
}

impl Checkpoints {
    fn five() -> u32 {
        5
    }

    fn three() -> u32 {
        3
    }
}

impl Default for Checkpoints {
    fn default() -> Checkpoints {
        Checkpoints { every: Checkpoints::five(), keep: Checkpoints::three() }
    }
}
