//! What a stage is given to do, and what it gives back.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::artifact::ArtifactError;
use crate::event::StageEvent;
use crate::key::{SourceFile, StageId};
use crate::stage::{EarlierRows, RowSources, StageSpec};

/// Everything that a stage needs to run. The worker reads it as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageJob {
    pub stage: StageId,
    pub spec: StageSpec,
    /// By the names that [`StageSpec::inputs`] gives.
    pub inputs: BTreeMap<String, JobInput>,
    /// An empty folder; every output of [`StageSpec::outputs`] is to be there, under its file name, in the end.
    pub out: PathBuf,
    pub seed: u64,
    pub device: Device,
    /// How many threads compute; none for as many as there are cores.
    #[serde(default)]
    pub threads: Option<usize>,
    /// An earlier state to go on from: a checkpoint of the same trajectory.
    #[serde(default)]
    pub resume: Option<PathBuf>,
    /// Of a kind that makes a row of every packed image, what the rows of its inputs are known by. Folders have digests of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packed_rows: BTreeMap<String, RowSources>,
    /// Earlier results to copy rows from. No image stands in two of those that were made alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierRows>,
}

/// An input that exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobInput {
    File(PathBuf),
    /// A folder with the image files in it, ordered by relative path.
    Folder {
        root: PathBuf,
        files: Vec<SourceFile>,
    },
}

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// CUDA where it is installed and there is a card, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

/// Why a stage could not finish.
#[derive(Debug, Error)]
pub enum StageError {
    /// An input file cannot be what the stage needs.
    #[error("{path}: {reason}", path = path.display())]
    Input { path: PathBuf, reason: String },
    /// Parameters and inputs do not go together.
    #[error("{0}")]
    Invalid(String),
    /// It took longer than its `timeout`.
    #[error("it took longer than its `timeout` allows")]
    TimedOut,
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl StageJob {
    /// The file given as the input `name`.
    pub fn file(&self, name: &str) -> Result<&Path, StageError> {
        self.optional_file(name)?.ok_or_else(|| StageError::Invalid(format!("stage {} was given no input `{name}`", self.stage)))
    }

    /// The file given as the input `name`, if there is one.
    pub fn optional_file(&self, name: &str) -> Result<Option<&Path>, StageError> {
        match self.inputs.get(name) {
            None => Ok(None),
            Some(JobInput::File(path)) => Ok(Some(path)),
            Some(JobInput::Folder { .. }) => {
                Err(StageError::Invalid(format!("the input `{name}` of {} is a folder, not a file", self.stage)))
            }
        }
    }

    /// The root and the image files of the folder given as the input `name`.
    pub fn folder(&self, name: &str) -> Result<(&Path, &[SourceFile]), StageError> {
        match self.inputs.get(name) {
            Some(JobInput::Folder { root, files }) => Ok((root, files)),
            Some(JobInput::File(_)) => Err(StageError::Invalid(format!("the input `{name}` of {} is a file, not a folder", self.stage))),
            None => Err(StageError::Invalid(format!("stage {} was given no input `{name}`", self.stage))),
        }
    }

    /// What the rows of the packed images given as the input `name` are known by.
    pub fn packed_rows(&self, name: &str) -> Result<&RowSources, StageError> {
        let rows = self.packed_rows.get(name);
        rows.ok_or_else(|| StageError::Invalid(format!("stage {} was not told what the rows of `{name}` are", self.stage)))
    }

    /// Where the output `name` is to be written.
    pub fn output(&self, name: &str) -> Result<PathBuf, StageError> {
        let outputs = self.spec.outputs();
        let output = outputs.iter().find(|output| output.name == name);
        output
            .map(|output| self.out.join(&*output.file))
            .ok_or_else(|| StageError::Invalid(format!("stage {} has no output `{name}`", self.stage)))
    }

    /// Where a kind whose every row is made of one image writes the [`RowSources`] of the output `name`.
    ///
    /// [`RowSources`]: crate::stage::RowSources
    pub fn row_sources(&self, name: &str) -> PathBuf {
        self.out.join(format!("{name}.rows"))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(0) => f.write_str("cuda"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Device, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                .ok_or_else(|| format!("`{text}` is not a device; use `auto`, `cpu`, `cuda` or `cuda:N`")),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = String;

    fn try_from(text: String) -> Result<Device, String> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}

/// The outside world of a running stage: where it reports, and whether it should stop.
pub struct StageContext<'a> {
    pub emit: &'a mut (dyn FnMut(StageEvent) + Send),
    pub cancelled: &'a AtomicBool,
    /// When it is stopped, whether or not the user asks.
    pub deadline: Option<Instant>,
}

impl StageContext<'_> {
    /// Reports an event.
    pub fn emit(&mut self, event: StageEvent) {
        (self.emit)(event);
    }

    /// An error if the stage is to stop; to be called at least several times a second.
    pub fn check_cancelled(&self) -> Result<(), StageError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(StageError::Interrupted);
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) { Err(StageError::TimedOut) } else { Ok(()) }
    }
}
