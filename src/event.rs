//! What a running stage says of itself. The only language between the code that works and the code that reports.
//!
//! Knows nothing of terminals, files or processes.

use serde::{Deserialize, Serialize};

/// Something that happened inside a stage. Travels from the worker as JSON too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum StageEvent {
    /// `done` of `total` units of the current activity are finished.
    Progress {
        /// What is being done, such as `packing train` or `epoch 3/10`.
        activity: String,
        done: u64,
        total: u64,
        /// What is counted.
        unit: Unit,
    },
    /// An epoch of training is over.
    Epoch(EpochMetrics),
    /// A result worth a line in the final table, such as `rank-1` of an evaluation.
    Metric { name: String, value: f64 },
    /// Something that the user should know but that does not stop the stage.
    Warning { message: String },
    /// Something worth a line, such as the device that was chosen.
    Note { message: String },
}

/// What a progress bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Images,
    Rows,
    Fits,
    Bytes,
}

/// The state of training at the end of an epoch. Losses are means per image; accuracies are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// The rate in force during the epoch.
    pub learning_rate: f64,
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// Of the validation set, where there is one.
    pub val_loss: Option<f64>,
    pub val_accuracy: Option<f64>,
    /// Training speed, validation left out.
    pub images_per_second: f64,
}

/// Where a stage sends its events.
pub type EventSink<'a> = &'a mut dyn FnMut(StageEvent);

impl Unit {
    /// The plural, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Images => "images",
            Unit::Rows => "rows",
            Unit::Fits => "fits",
            Unit::Bytes => "bytes",
        }
    }
}
