//! Run records: what is kept of a run, versioned, made by folding its events; and how people name the runs of a project.
//!
//! Knows nothing of how a run is executed or shown.

mod environment;
mod label;
mod log;
mod reference;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cache;
use crate::event::{
    EpochMetrics, FromRemote, ListedStage, Metric, RunEvent, RunOutcome, StageEvent, StageOutput, StageResult, StartingPoint,
};
use crate::key::{ActionKey, Change, StageId, StagePath, VariantName};

pub use environment::RunEnvironment;
pub use label::{Label, LabelError};
pub use log::{EventLog, LogReader, LoggedEvent};
pub use reference::{LAST, ReferenceError, RunReference};
pub use runs::{RunHead, Runs};

/// The version of the record's layout.
pub const FORMAT: u32 = 2;

/// One run of a pipeline, with all its variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The version of this layout.
    #[schemars(extend("const" = FORMAT))]
    pub format: u32,
    /// Sorts by the time of the run's start.
    #[schemars(extend("examples" = ["20260102T030405-1234"]))]
    pub id: String,
    /// Given by the user; no other run of the project has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
    /// Given by the user.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Label>,
    /// Where its results come from.
    pub provenance: RunProvenance,
    /// Null if the run did not come to its end.
    pub outcome: Option<RunOutcome>,
    /// How long the run took.
    #[schemars(range(min = 0.0))]
    pub seconds: f64,
    /// What was to know of the run as a whole, such as that the remote cache failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// In the order in which they were looked at.
    pub stages: Vec<StageRecord>,
}

/// Where a run's results come from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunProvenance {
    pub pipeline: String,
    pub manifest: PathBuf,
    /// The words of the command line.
    #[serde(default)]
    pub command: Vec<String>,
    /// As it was read.
    pub manifest_text: String,
    /// The manifest for other machines. Null in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portable: Option<PortableManifest>,
    /// Those that are the same in all variants.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Those that were run, in order; none for a manifest without a matrix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantParams>,
    /// RFC 3339.
    pub started: String,
    /// packtrain's version.
    pub tool: String,
    /// Of the manifest's repository, where it has one and a stage ran.
    pub git_commit: Option<String>,
    /// Whether files of the repository differed from that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_dirty: Option<bool>,
    /// Null in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<RunEnvironment>,
}

/// A manifest that needs no other file to be read and names no place of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortableManifest {
    /// YAML.
    pub text: String,
    /// By parameter, the inputs that it says the place of.
    #[schemars(extend("examples" = [{ "images": ["pack.images"] }]))]
    pub inputs: BTreeMap<String, BTreeSet<String>>,
}

/// A variant of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantParams {
    pub variant: VariantName,
    /// Those that are not the same in all variants.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// What became of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageRecord {
    #[serde(flatten)]
    pub stage: StagePath,
    /// As in the manifest.
    #[schemars(extend("examples" = ["pack", "train"]))]
    pub kind: String,
    /// The stages of the same variant whose outputs it takes, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StageId>,
    pub state: StageState,
    /// Null for a stage that gave no result.
    pub key: Option<ActionKey>,
    /// Why it ran.
    pub changes: Vec<Change>,
    /// How long the stage ran; of a reused one, when it did.
    pub seconds: f64,
    pub metrics: Vec<Metric>,
    /// Of those that were trained in this run.
    pub epochs: Vec<EpochMetrics>,
    pub warnings: Vec<String>,
    pub output: StageOutput,
    /// The files, where users find them.
    pub files: Vec<PathBuf>,
    /// Of a result that was taken from the remote cache in this run, what had to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_remote: Option<FromRemote>,
    /// Why it failed.
    pub error: Option<String>,
    /// Of a training that did not finish, where the next run will start it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<StartingPoint>,
}

/// The life of a stage within a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// Not looked at yet.
    Pending,
    Running,
    /// An earlier result was right.
    Reused,
    Finished,
    /// Finished, but an input changed meanwhile, so that the result was not cached.
    Unpublished,
    Failed,
    /// Stopped, because a change had made moot what it was to give.
    Superseded,
    /// Not looked at, because an earlier stage did not finish or the run was stopped.
    NotRun,
}

/// How many stages a run had, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    pub ran: usize,
    pub reused: usize,
    pub failed: usize,
    /// Not looked at, or cut off.
    pub not_run: usize,
}

impl RunRecord {
    /// The record of a run that has not begun.
    pub fn new(id: String, provenance: RunProvenance) -> RunRecord {
        let (name, tags) = (None, BTreeSet::new());
        RunRecord { format: FORMAT, id, name, tags, provenance, outcome: None, seconds: 0.0, warnings: Vec::new(), stages: Vec::new() }
    }

    /// Takes in the next event.
    pub fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted { stages, .. } => self.stages = stages.iter().map(StageRecord::pending).collect(),
            RunEvent::RunFinished { outcome, seconds } => {
                self.outcome = Some(*outcome);
                self.seconds = *seconds;
            }
            RunEvent::StageWaiting { .. }
            | RunEvent::Watching(_)
            | RunEvent::Changed { .. }
            | RunEvent::RunSuperseded { .. }
            | RunEvent::Unrunnable { .. }
            | RunEvent::Polling { .. } => {}
            RunEvent::RemoteFailed { problem } => self.warnings.push(problem.clone()),
            RunEvent::StageFetching { stage, .. } => self.with(stage, |record| record.state = StageState::Running),
            RunEvent::StageStarted { stage, changes, .. } => {
                self.with(stage, |record| {
                    record.state = StageState::Running;
                    record.changes.clone_from(changes);
                });
            }
            RunEvent::Stage { stage, said } => self.with(stage, |record| record.hear(said)),
            RunEvent::StageReused(result) => self.with(&result.stage, |record| record.end(StageState::Reused, result)),
            RunEvent::StageFinished(result) => {
                let state = if result.unstable_inputs.is_empty() { StageState::Finished } else { StageState::Unpublished };
                self.with(&result.stage, |record| record.end(state, result));
            }
            RunEvent::StageFailed { stage, error, training } => {
                self.with(stage, |record| {
                    record.state = StageState::Failed;
                    record.error = Some(error.clone());
                    record.training = *training;
                });
            }
            RunEvent::StageSuperseded { stage, training } => {
                self.with(stage, |record| {
                    record.state = StageState::Superseded;
                    record.training = *training;
                });
            }
            RunEvent::StageNotRun { stage, .. } => self.with(stage, |record| record.state = StageState::NotRun),
        }
    }

    /// How many stages ran, were reused, and so on.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for stage in &self.stages {
            let count = match stage.state {
                StageState::Finished | StageState::Unpublished => &mut tally.ran,
                StageState::Reused => &mut tally.reused,
                StageState::Failed => &mut tally.failed,
                StageState::Pending | StageState::Running | StageState::Superseded | StageState::NotRun => &mut tally.not_run,
            };
            *count += 1;
        }
        tally
    }

    /// Writes the record into the folder of run records, where it takes the place of the run's log.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("{}.json", self.id));
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, cache::sealed(&path, self)?)?;
        fs::rename(&temporary, &path)?;
        // A log that stays does no harm: nobody reads it beside a record.
        drop(fs::remove_file(path.with_extension(log::EVENTS)));
        Ok(path)
    }

    /// Reads a record; an error for one of another version, or whose seal is broken.
    pub fn read(path: &Path) -> io::Result<RunRecord> {
        let Some(record) = cache::unsealed::<RunRecord>(path, &fs::read(path)?) else {
            let reason = "it is damaged, or was written by another version; `packtrain cache verify` tells";
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display())));
        };
        if record.format != FORMAT {
            return Err(io::Error::other(format!("it has format {}, this packtrain reads {FORMAT}", record.format)));
        }
        Ok(record)
    }

    fn with(&mut self, stage: &StagePath, change: impl FnOnce(&mut StageRecord)) {
        if let Some(record) = self.stages.iter_mut().find(|record| record.stage == *stage) {
            change(record);
        }
    }
}

impl StageRecord {
    fn pending(listed: &ListedStage) -> StageRecord {
        StageRecord {
            stage: listed.stage.clone(),
            kind: listed.kind.clone(),
            needs: listed.needs.clone(),
            state: StageState::Pending,
            key: None,
            changes: Vec::new(),
            seconds: 0.0,
            metrics: Vec::new(),
            epochs: Vec::new(),
            warnings: Vec::new(),
            output: StageOutput::default(),
            files: Vec::new(),
            from_remote: None,
            error: None,
            training: None,
        }
    }

    fn hear(&mut self, said: &StageEvent) {
        match said {
            StageEvent::Epoch(metrics) => self.epochs.push(metrics.clone()),
            StageEvent::Warning { message } => self.warnings.push(message.clone()),
            StageEvent::Progress { .. }
            | StageEvent::EpochStarted(_)
            | StageEvent::EpochSoFar { .. }
            | StageEvent::Checkpoint { .. }
            | StageEvent::Metric { .. }
            | StageEvent::Note { .. } => {}
        }
    }

    fn end(&mut self, state: StageState, result: &StageResult) {
        self.state = state;
        self.key = Some(result.key);
        self.seconds = result.seconds;
        self.metrics.clone_from(&result.metrics);
        self.output.clone_from(&result.output);
        self.files.clone_from(&result.files);
        self.from_remote = result.from_remote;
    }
}
