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
    /// The record of a state in a text with a seal, if that is sound and of the present format.
    pub fn from_sealed(key: &TrajectoryKey, text: &[u8]) -> Option<CheckpointRecord> {
        let record: CheckpointRecord = json::unsealed(&json::file_name(key), text)?;
        Some(record).filter(|record| record.format == FORMAT)
    }

    /// The text of the record with its seal.
    pub fn to_sealed(&self, key: &TrajectoryKey) -> serde_json::Result<Vec<u8>> {
        json::sealed(&json::file_name(key), self)
    }

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
        self.publish_checkpoint(key, &CheckpointRecord { format: FORMAT, epoch, object: self.store.insert(file, &self.memo)? })
    }

    /// Names a checkpoint whose object is in the store by its place.
    pub fn publish_checkpoint(&self, key: &TrajectoryKey, record: &CheckpointRecord) -> Result<(), CacheError> {
        json::write(&self.checkpoint_path(key), record)
    }

    /// Every checkpoint that is there, by its place.
    pub fn checkpoints(&self) -> Result<Vec<TrajectoryKey>, CacheError> {
        let folder = self.root.join("checkpoints");
        let mut keys = Vec::new();
        for entry in fs::read_dir(&folder).map_err(CacheError::io(&folder))? {
            let name = entry.map_err(CacheError::io(&folder))?.file_name();
            keys.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<TrajectoryKey>().ok()));
        }
        Ok(keys)
    }

    /// Forgets a checkpoint, the name first. Its object goes too: no two places have the same state.
    pub fn drop_checkpoint(&self, key: &TrajectoryKey) -> Result<(), CacheError> {
        let Some(record) = self.checkpoint(key)? else { return Ok(()) };
        let path = self.checkpoint_path(key);
        fs::remove_file(&path).map_err(CacheError::io(&path))?;
        self.store.remove(&record.object)
    }

    fn checkpoint_path(&self, key: &TrajectoryKey) -> PathBuf {
        self.root.join("checkpoints").join(json::file_name(key))
    }
}
