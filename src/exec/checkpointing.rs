//! The states of a running training: which one it starts from, and which of those that it writes are kept.

use std::path::{Path, PathBuf};

use crate::cache::{Cache, CacheError};
use crate::key::{Fingerprint, TrajectoryKey};
use crate::manifest::PipelineStage;
use crate::plan::{PlanError, Trajectory};
use crate::stage::StageSpec;

/// The checkpoints of one training.
pub(super) struct Checkpointing<'a> {
    cache: &'a Cache,
    trajectory: Trajectory,
    resume: Option<PathBuf>,
    /// Epochs whose states are kept whatever follows.
    lasting: Vec<u32>,
    /// How many of the other states are kept.
    keep: usize,
    /// The epochs of the other states that this run has kept, oldest first.
    passing: Vec<u32>,
}

impl<'a> Checkpointing<'a> {
    /// For a stage that trains epoch by epoch; `None` for other stages.
    pub(super) fn of(stage: &PipelineStage, fingerprint: &Fingerprint, cache: &'a Cache) -> Result<Option<Self>, PlanError> {
        let StageSpec::Train(spec) = &stage.spec else { return Ok(None) };
        let Some(trajectory) = Trajectory::of(stage, fingerprint)? else { return Ok(None) };
        let resume = trajectory.resume(cache)?.map(|(_, path)| path);
        let keep = spec.checkpoints.keep as usize;
        Ok(Some(Checkpointing { cache, trajectory, resume, lasting: spec.phase_ends(), keep, passing: Vec::new() }))
    }

    /// The state to start from.
    pub(super) fn resume(&self) -> Option<PathBuf> {
        self.resume.clone()
    }

    /// The states of this training, kept or not.
    pub(super) fn states(&self) -> &[TrajectoryKey] {
        self.trajectory.keys()
    }

    /// Keeps the state after an epoch, and drops the oldest one that is too many.
    pub(super) fn keep(&mut self, epoch: u32, file: &Path) -> Result<(), CacheError> {
        let Some(key) = self.trajectory.key(epoch) else { return Ok(()) };
        let _stay = self.cache.stay()?;
        self.cache.keep_checkpoint(key, epoch, file)?;
        if self.lasting.contains(&epoch) {
            return Ok(());
        }
        self.passing.push(epoch);
        if self.passing.len() > self.keep
            && let Some(key) = self.trajectory.key(self.passing.remove(0))
        {
            self.cache.drop_checkpoint(key)?;
        }
        Ok(())
    }
}
