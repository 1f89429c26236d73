//! What a running stage and a running pipeline say of themselves. The only language between the code that works and the
//! code that reports.
//!
//! Knows nothing of terminals, files or processes.

use std::fmt;
use std::ops::AddAssign;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key::{ActionKey, Change, StageId, StagePath};

/// Something that happened inside a stage. Travels from the worker as JSON too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// An epoch of training begins.
    EpochStarted(EpochStart),
    /// Means over the images of the epoch so far, told about once a second.
    EpochSoFar { loss: f64, accuracy: f64 },
    /// An epoch of training is over.
    Epoch(EpochMetrics),
    /// The state after an epoch was written to a file in the job's folder, for the coordinator to keep.
    Checkpoint { epoch: u32, file: String },
    /// A result worth a line in the final table, such as `rank-1` of an evaluation.
    Metric { name: String, value: f64 },
    /// Something that the user should know but that does not stop the stage.
    Warning { message: String },
    /// Something worth a line, such as the device that was chosen.
    Note { message: String },
}

/// What a progress bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    Images,
    Rows,
    Fits,
    Bytes,
}

/// What is known of an epoch of training before it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EpochStart {
    /// Counted from 1.
    #[schemars(range(min = 1))]
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// The rate in force during the epoch.
    pub learning_rate: f64,
}

/// The state of training at the end of an epoch. Losses are means per image; accuracies are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EpochMetrics {
    /// Counted from 1.
    #[schemars(range(min = 1))]
    pub epoch: u32,
    /// Of how many.
    pub epochs: u32,
    /// The rate in force during the epoch.
    pub learning_rate: f64,
    pub train_loss: f64,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub train_accuracy: f64,
    /// Of the validation set, where there is one.
    pub val_loss: Option<f64>,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub val_accuracy: Option<f64>,
    /// Training speed, validation left out.
    pub images_per_second: f64,
    /// When it ended, RFC 3339. Null in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
}

/// Where a training starts: its epochs until then are kept from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StartingPoint {
    /// Epochs whose results are reused; 0 for a training from the beginning.
    pub after_epoch: u32,
    /// Epochs in all.
    pub epochs: u32,
}

/// What a stage leaves besides its files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageOutput {
    /// Images that could not be read and were left out, with `on-error: skip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedImage>,
    /// Of a kind that makes a row of every image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowCounts>,
    /// The device that networks ran on, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The version of libtorch, where a worker ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libtorch: Option<String>,
    /// What decides the last bits of what a network gave: libtorch's version, the processor's model, the number of threads.
    /// Rows are only put beside rows of the same arithmetic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
}

/// An image that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedImage {
    pub path: String,
    pub reason: String,
}

/// The rows of a stage's outputs, by where they come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowCounts {
    /// Copied from earlier results.
    pub reused: u64,
    pub made: u64,
}

/// Something that happened in a run, or between runs of `--watch`. The events of a run, in order, tell all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// The first event. `stages` are in the order in which they will be looked at, variant by variant.
    RunStarted {
        /// The run's id.
        run: String,
        /// The pipeline's name.
        pipeline: String,
        /// The words of the command line, to run it again.
        command: Vec<String>,
        stages: Vec<ListedStage>,
    },
    /// Another process is running the same action; this run waits for it.
    StageWaiting {
        #[serde(flatten)]
        stage: StagePath,
        /// Who that is.
        holder: String,
    },
    /// A stage begins, for these reasons.
    StageStarted {
        #[serde(flatten)]
        stage: StagePath,
        key: ActionKey,
        /// Why it runs; several may be so at once.
        changes: Vec<Change>,
    },
    /// A running stage says something.
    Stage {
        #[serde(flatten)]
        stage: StagePath,
        said: StageEvent,
    },
    /// The result of a stage is at the remote cache, and so many bytes of it are taken from there.
    StageFetching {
        #[serde(flatten)]
        stage: StagePath,
        key: ActionKey,
        bytes: u64,
    },
    /// The remote cache cannot be used; the run goes on without it.
    RemoteFailed {
        /// What is wrong, as text.
        problem: String,
    },
    /// A stage's earlier result is still right.
    StageReused(StageResult),
    /// A stage ran to its end.
    StageFinished(StageResult),
    /// A stage could not finish, for the reason `error`.
    StageFailed {
        #[serde(flatten)]
        stage: StagePath,
        error: String,
        /// Of a training, where the next run will start it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        training: Option<StartingPoint>,
    },
    /// A stage was stopped, because a change has made moot what it was to give; only with `--watch`.
    StageSuperseded {
        #[serde(flatten)]
        stage: StagePath,
        /// Of a training, where it will start when it is wanted again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        training: Option<StartingPoint>,
    },
    /// A stage was not looked at, because `needs` did not finish or the run was to stop.
    StageNotRun {
        #[serde(flatten)]
        stage: StagePath,
        /// The stage that did not finish.
        needs: Option<StageId>,
    },
    /// The last event of a run.
    RunFinished {
        outcome: RunOutcome,
        /// How long it took.
        #[schemars(range(min = 0.0))]
        seconds: f64,
    },
    /// `--watch` waits for a change of what the last run has read.
    Watching(SourceCounts),
    /// `--watch` sees that files changed; none if they were touched and hold what they held before.
    Changed { changes: Vec<SourceChange> },
    /// Because of a change the run ends early and another one follows: at once if a running stage is `moot`, else when the running ones,
    /// which are still `wanted`, have finished.
    RunSuperseded { wanted: Vec<StagePath>, moot: Vec<StagePath> },
    /// `--watch` cannot run the manifest as it is now, and waits until it is mended.
    Unrunnable {
        /// What is wrong, as text.
        problem: String,
    },
    /// `--watch` gets no notice of changes from the file system, for this reason, and looks at the files again and again.
    Polling { reason: String },
}

/// How much `--watch` looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SourceCounts {
    /// Manifests with those that they extend, and files of profiles.
    pub manifests: u64,
    /// Archives, weights, tables, scripts.
    pub files: u64,
    pub folders: u64,
    /// The files in the folders.
    pub files_in_folders: u64,
}

/// Files of one place that changed alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceChange {
    /// The file, or of several files the folder.
    pub path: PathBuf,
    pub how: SourceChangeKind,
    /// How many.
    #[schemars(range(min = 1))]
    pub files: u64,
}

/// How files changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceChangeKind {
    Added,
    Removed,
    Changed,
}

/// A stage of a run that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedStage {
    #[serde(flatten)]
    pub stage: StagePath,
    /// As in the manifest.
    #[schemars(extend("examples" = ["pack", "train"]))]
    pub kind: String,
    /// The stages of the same variant whose outputs it takes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StageId>,
}

/// What a stage gave, now or earlier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageResult {
    #[serde(flatten)]
    pub stage: StagePath,
    pub key: ActionKey,
    /// How long the stage ran; of a reused one, when it did.
    pub seconds: f64,
    pub metrics: Vec<Metric>,
    pub output: StageOutput,
    /// The files, where users find them.
    pub files: Vec<PathBuf>,
    /// Of a result that was taken from the remote cache, what had to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_remote: Option<FromRemote>,
    /// Inputs that changed while the stage ran: its result was not cached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unstable_inputs: Vec<PathBuf>,
}

/// What came from the remote cache for a result; files that were here already are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FromRemote {
    pub files: u64,
    pub bytes: u64,
}

/// A number that a stage reported, such as `rank-1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    pub name: String,
    pub value: f64,
}

/// How a run ended; of several variants, the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    Succeeded,
    Failed,
    /// Ended early by `--watch`, because a change has made a part of it moot.
    Superseded,
    Interrupted,
}

impl RunOutcome {
    /// As it is written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RunOutcome::Succeeded => "succeeded",
            RunOutcome::Failed => "failed",
            RunOutcome::Superseded => "superseded",
            RunOutcome::Interrupted => "interrupted",
        }
    }
}

impl AddAssign for RowCounts {
    fn add_assign(&mut self, RowCounts { reused, made }: RowCounts) {
        self.reused += reused;
        self.made += made;
    }
}

impl fmt::Display for StartingPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after_epoch {
            0 => f.write_str("starts at the beginning"),
            done => write!(f, "goes on after epoch {done} of {}", self.epochs),
        }
    }
}

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
