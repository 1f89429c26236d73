//! A training between two epochs, as safetensors: all that is needed to go on as if it had never stopped.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::tensors::{self, NamedTensors};
use crate::artifact::{ArtifactError, History, ModelTensor};

/// The state of a training after some epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub counters: Counters,
    /// The network's and the optimizer's, by name.
    pub tensors: Vec<ModelTensor>,
}

/// How far a training is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Epochs done.
    pub epoch: u32,
    /// Steps done.
    pub steps: u64,
    /// Of every epoch done.
    pub history: History,
}

impl Checkpoint {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Checkpoint, ArtifactError> {
        let NamedTensors { header, tensors, .. } = tensors::read(path)?;
        let header = header.ok_or_else(|| ArtifactError::invalid(path, "it is no checkpoint of packtrain"))?;
        let counters =
            serde_json::from_str(&header).map_err(|error| ArtifactError::invalid(path, format!("the checkpoint's counters: {error}")))?;
        Ok(Checkpoint { counters, tensors })
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        let counters = serde_json::to_string(&self.counters).map_err(|error| ArtifactError::invalid(path, error.to_string()))?;
        tensors::write(path, counters, &self.tensors)
    }
}
