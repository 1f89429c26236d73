//! `History`: the metrics of every epoch, as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactError;
use crate::event::EpochMetrics;

/// The metrics of every epoch of a training. Speeds are left out of the file: it depends on the inputs alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub epochs: Vec<EpochMetrics>,
}

impl History {
    /// Reads the file.
    pub fn read(_path: &Path) -> Result<History, ArtifactError> {
        todo!()
    }

    /// Writes the file.
    pub fn write(&self, _path: &Path) -> Result<(), ArtifactError> {
        todo!()
    }
}
