//! What a stage takes from the remote cache: its result or, for a training that runs, the state to go on from.
//!
//! A remote that fails is told once and not asked again in this run. Nothing that is wrong with it makes a stage fail.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::cache::Stay;
use crate::event::{FromRemote, RunEvent, StageEvent, Unit};
use crate::exec::action::Site;
use crate::exec::scheduler::{Done, ExecError, Origin};
use crate::key::{ActionKey, StagePath, TrajectoryKey};
use crate::plan::Trajectory;
use crate::remote::{Destination, Fetch, Remote, RemoteError, Watch};
use crate::stage::StageError;

/// How often a transfer says how far it is.
const INTERVAL: Duration = Duration::from_millis(100);

/// For one stage, under its action's lock.
pub(super) struct Errand<'a, 's> {
    pub(super) path: &'a StagePath,
    pub(super) stay: &'a Stay<'a>,
    /// Where files arrive.
    pub(super) scratch: &'a Path,
    pub(super) site: &'a Site<'s>,
}

impl Errand<'_, '_> {
    /// The stage's result, if the remote has a sound one.
    pub(super) fn fetch_result(&self, key: &ActionKey) -> Result<Option<Done>, ExecError> {
        let Some(remote) = self.remote() else { return Ok(None) };
        let (total, arrived, started) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
        let last_told = AtomicU64::new(0);
        let mut begins = |bytes| {
            total.store(bytes, Ordering::Relaxed);
            if bytes > 0 {
                self.site.emit(RunEvent::StageFetching { stage: self.path.clone(), key: *key, bytes });
            }
        };
        let progress = |bytes| {
            let done = arrived.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let now = started.elapsed().as_millis() as u64;
            if now.saturating_sub(last_told.load(Ordering::Relaxed)) >= INTERVAL.as_millis() as u64 {
                last_told.store(now, Ordering::Relaxed);
                let total = total.load(Ordering::Relaxed).max(done);
                self.say(StageEvent::Progress { activity: "fetching".to_owned(), done, total, unit: Unit::Bytes });
            }
        };
        let watch = Watch { cancelled: self.site.cancelled, progress: &progress };
        match remote.fetch(key, &self.destination(), &mut begins, &watch) {
            Ok(Fetch::Taken(fetched)) => {
                let came = FromRemote { files: fetched.objects, bytes: fetched.bytes };
                Ok(Some(Done { key: *key, record: Box::new(fetched.record), files: None, origin: Origin::Remote(came) }))
            }
            Ok(Fetch::Missing) => Ok(None),
            Ok(Fetch::Damaged(reason)) => {
                self.say(StageEvent::Warning { message: format!("what the remote cache has is not used: {reason}") });
                Ok(None)
            }
            Err(error) => self.take(error, remote).map(|()| None),
        }
    }

    /// A later state of a training than the cache has, if the remote has one.
    pub(super) fn fetch_state(&self, trajectory: &Trajectory) -> Result<(), ExecError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        let start = trajectory.starting_point(self.site.cache)?.after_epoch;
        let later: Vec<TrajectoryKey> = trajectory.keys().iter().skip(start as usize + 1).rev().copied().collect();
        let watch = Watch { cancelled: self.site.cancelled, progress: &|_| {} };
        match remote.fetch_checkpoint(&later, &self.destination(), &watch) {
            Ok(Some(record)) => {
                let message = format!("the state after epoch {} came from the remote cache", record.epoch);
                self.say(StageEvent::Note { message });
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => self.take(error, remote),
        }
    }

    fn destination(&self) -> Destination<'_> {
        Destination { cache: self.site.cache, stay: self.stay, scratch: self.scratch }
    }

    /// The remote, unless it has failed.
    fn remote(&self) -> Option<&Remote> {
        self.site.remote.filter(|remote| !remote.is_given_up())
    }

    /// Passes on only what is wrong here.
    fn take(&self, error: RemoteError, remote: &Remote) -> Result<(), ExecError> {
        match error {
            RemoteError::Interrupted => Err(StageError::Interrupted.into()),
            RemoteError::Cache(error) => Err(error.into()),
            failed @ (RemoteError::Failed { .. } | RemoteError::Io { .. }) => {
                if remote.give_up() {
                    self.site.emit(RunEvent::RemoteFailed { problem: failed.to_string() });
                }
                Ok(())
            }
        }
    }

    fn say(&self, said: StageEvent) {
        self.site.emit(RunEvent::Stage { stage: self.path.clone(), said });
    }
}
