//! Where a training can start: at the last of its states that is in the cache.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::artifact::History;
use crate::cache::{ActionRecord, Cache, CacheError};
use crate::event::StartingPoint;
use crate::key::{Fingerprint, TrajectoryKey};
use crate::manifest::PipelineStage;
use crate::plan::PlanError;

/// The states of a training that is to be done.
#[derive(Debug)]
pub struct Trajectory {
    /// The key after 0, 1, 2, … epochs.
    keys: Vec<TrajectoryKey>,
    learning_rates: Vec<f64>,
}

/// Where a training will start, and why not later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TrainingStart {
    #[serde(flatten)]
    pub point: StartingPoint,
    /// The first epoch whose learning rate is not that of the training before.
    pub first_changed_rate: Option<RateChange>,
}

/// A learning rate that is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateChange {
    /// Counted from 1.
    pub epoch: u32,
    pub old: f64,
    pub new: f64,
}

impl Trajectory {
    /// The trajectory of a stage that trains epoch by epoch; `None` for other stages.
    pub fn of(stage: &PipelineStage, fingerprint: &Fingerprint) -> Result<Option<Trajectory>, PlanError> {
        let found = stage.spec.trajectory().map_err(|source| PlanError::Parameters { stage: stage.id.clone(), source })?;
        let Some((parameters, learning_rates)) = found else { return Ok(None) };
        let mut key = TrajectoryKey::start(&Fingerprint { parameters, ..fingerprint.clone() });
        let mut keys = vec![key];
        for rate in &learning_rates {
            key = key.after(*rate);
            keys.push(key);
        }
        Ok(Some(Trajectory { keys, learning_rates }))
    }

    /// The keys of the states after 0, 1, 2, … epochs.
    pub fn keys(&self) -> &[TrajectoryKey] {
        &self.keys
    }

    /// The key of the state after some epochs; `None` past the end.
    pub fn key(&self, epoch: u32) -> Option<&TrajectoryKey> {
        self.keys.get(epoch as usize)
    }

    /// Whether both have the same state after their first epoch.
    pub fn begins_like(&self, other: &Trajectory) -> bool {
        self.key(1).is_some() && self.key(1) == other.key(1)
    }

    /// The longest part that need not be trained again: its number of epochs and the checkpoint at its end.
    pub fn resume(&self, cache: &Cache) -> Result<Option<(u32, PathBuf)>, CacheError> {
        for (epoch, key) in self.keys.iter().enumerate().skip(1).rev() {
            if let Some(record) = cache.checkpoint(key)? {
                return Ok(Some((epoch as u32, cache.store().path(&record.object))));
            }
        }
        Ok(None)
    }

    /// Where the training will start.
    pub fn starting_point(&self, cache: &Cache) -> Result<StartingPoint, CacheError> {
        let after_epoch = self.resume(cache)?.map_or(0, |(epoch, _)| epoch);
        Ok(StartingPoint { after_epoch, epochs: self.learning_rates.len() as u32 })
    }

    /// Where the training will start, and why not later. `earlier` is what the stage last gave.
    pub fn start(&self, earlier: Option<&ActionRecord>, cache: &Cache) -> Result<TrainingStart, CacheError> {
        let history = earlier.and_then(|record| record.outputs.get("history"));
        let history = history.and_then(|file| History::read(&cache.store().path(&file.digest)).ok());
        let first_changed_rate = history.and_then(|history| self.first_changed_rate(&history));
        Ok(TrainingStart { point: self.starting_point(cache)?, first_changed_rate })
    }

    fn first_changed_rate(&self, earlier: &History) -> Option<RateChange> {
        let pairs = self.learning_rates.iter().zip(&earlier.epochs);
        let mut rates = pairs.map(|(&new, epoch)| RateChange { epoch: epoch.epoch, old: epoch.learning_rate, new });
        rates.find(|change| change.old != change.new)
    }
}

impl std::fmt::Display for TrainingStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "training {}", self.point)?;
        match self.first_changed_rate {
            Some(RateChange { epoch, old, new }) => write!(f, "; the learning rate changes from epoch {epoch} on: {old} → {new}"),
            None => Ok(()),
        }
    }
}
