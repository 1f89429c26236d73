//! Checkpoints: the state of a training by the key of its place on the trajectory.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheError, ObjectState, json};
use crate::key::{Digest, TrajectoryKey};

/// The version of the record's layout; a record of another version is a miss.
const FORMAT: u32 = 1;

/// A state that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    format: u32,
    /// Epochs done.
    pub epoch: u32,
    pub object: Digest,
}

impl CheckpointRecord {
    /// The record in a file, if there is one of the present format.
    pub(super) fn read(path: &Path) -> Result<Option<CheckpointRecord>, CacheError> {
        let record: Option<CheckpointRecord> = json::read(path)?;
        Ok(record.filter(|record| record.format == FORMAT))
    }
}

impl Cache {
    /// The checkpoint at this place, if there is one and it is sound.
    pub fn checkpoint(&self, key: &TrajectoryKey) -> Result<Option<CheckpointRecord>, CacheError> {
        let Some(record) = CheckpointRecord::read(&self.checkpoint_path(key))? else { return Ok(None) };
        let sound = self.store.state(&record.object, &self.memo)? == ObjectState::Sound;
        Ok(sound.then_some(record))
    }

    /// Moves a checkpoint's file into the store and names it by its place.
    pub fn keep_checkpoint(&self, key: &TrajectoryKey, epoch: u32, file: &Path) -> Result<(), CacheError> {
        let record = CheckpointRecord { format: FORMAT, epoch, object: self.store.insert(file, &self.memo)? };
        json::write(&self.checkpoint_path(key), &record)
    }

    /// Forgets a checkpoint, the name first. Its object goes too: no two places have the same state.
    pub fn drop_checkpoint(&self, key: &TrajectoryKey) -> Result<(), CacheError> {
        let Some(record) = self.checkpoint(key)? else { return Ok(()) };
        let path = self.checkpoint_path(key);
        fs::remove_file(&path).map_err(CacheError::io(&path))?;
        self.store.remove(&record.object)
    }

    fn checkpoint_path(&self, key: &TrajectoryKey) -> PathBuf {
        self.root.join("checkpoints").join(format!("{key}.json"))
    }
}
