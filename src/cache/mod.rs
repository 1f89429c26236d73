//! The state folder `.packtrain/`: action records, the object store, the digest memo, locks and scratch folders.
//!
//! The only module that knows the folder's layout. Knows nothing of pipelines or of what a stage does. Every file is
//! written under a temporary name, synced and renamed, but for the memo, which need not be synced: a damaged one counts as
//! empty. An action record is written after every object that it names, so that a cache cut off at any instant holds only
//! whole truths.

mod action;
mod ahead;
mod checkpoints;
mod error;
#[cfg(test)]
mod fixture;
mod gc;
mod identity;
mod json;
mod listings;
mod locate;
mod lock;
mod memo;
mod outputs;
mod stay;
mod store;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

pub use action::{ActionRecord, Check, Effort, Provenance, StoredFile, Verdict};
pub use ahead::ReadAhead;
pub use checkpoints::CheckpointRecord;
pub use error::CacheError;
pub use gc::{Amount, Category, GcOutcome, GcPolicy, KeptStates, Uses};
pub use identity::FileIdentity;
pub use json::{sealed, unsealed};
pub use locate::Project;
pub use lock::ActionLock;
pub use memo::Memo;
pub use outputs::{is_placed, place};
pub use stay::{Alone, Pins, Stay};
pub use store::{ObjectState, ObjectStore};
pub use verify::{Checked, Concern, Damage, Fate, ObjectsRead, Part, Problem, Sample, Verification};

/// The cache of a project.
#[derive(Debug)]
pub struct Cache {
    root: PathBuf,
    store: ObjectStore,
    memo: Memo,
    ahead: ReadAhead,
}

/// The name of the state folder.
pub const STATE_FOLDER: &str = ".packtrain";

impl Cache {
    /// Opens the state folder, which is made where it does not exist.
    pub fn open(root: &Path) -> Result<Cache, CacheError> {
        Cache::open_with(root, ReadAhead::default())
    }

    /// The same, with what is being read of it.
    pub fn open_with(root: &Path, ahead: ReadAhead) -> Result<Cache, CacheError> {
        for folder in ["objects", "actions", "checkpoints", "heads", "runs", "work"] {
            let path = root.join(folder);
            if !path.is_dir() {
                fs::create_dir_all(&path).map_err(CacheError::io(&path))?;
            }
        }
        let store = ObjectStore::new(root.join("objects"));
        let memo = Memo::open(Cache::memo_of(root), ahead.memo.clone());
        Ok(Cache { root: root.to_owned(), store, memo, ahead })
    }

    /// The files by content.
    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// The digests of files that did not change.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Where run records are kept.
    pub fn runs(&self) -> PathBuf {
        Cache::runs_of(&self.root)
    }

    fn memo_of(root: &Path) -> PathBuf {
        root.join("index")
    }

    fn heads_of(root: &Path) -> PathBuf {
        root.join("heads")
    }

    /// Where run records are kept in a state folder that need not exist.
    pub fn runs_of(root: &Path) -> PathBuf {
        root.join("runs")
    }
}
