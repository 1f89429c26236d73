//! What a run will need of the cache, read by another thread while the manifest is: the memo, and the records of the results that the
//! pipeline which ran last gave. Mostly it is the one that runs now; if not, a core was used that had nothing to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cache::action::{ActionRecord, action_in, action_path};
use crate::cache::memo::MemoAhead;
use crate::cache::{Cache, FileIdentity, json};
use crate::key::{ActionKey, StageId};

/// What is read ahead of a cache that is not open yet. Nothing, by default.
#[derive(Debug, Clone, Default)]
pub struct ReadAhead {
    pub(super) memo: MemoAhead,
    records: Arc<Records>,
}

#[derive(Debug, Default)]
struct Records {
    read: Mutex<BTreeMap<ActionKey, (FileIdentity, ActionRecord)>>,
    /// Whoever needs records reads them faster, with all threads.
    is_over: AtomicBool,
}

impl ReadAhead {
    /// Begins to read from a state folder, which need not exist.
    pub fn begin(root: PathBuf) -> ReadAhead {
        let ahead = ReadAhead::default();
        let (memo, records) = (ahead.memo.clone(), Arc::clone(&ahead.records));
        rayon::spawn(move || {
            memo.read(&Cache::memo_of(&root));
            records.read(&root);
        });
        ahead
    }

    /// The record of an action, if it was read ahead and its file has not changed since.
    pub(super) fn take(&self, root: &Path, key: &ActionKey) -> Option<ActionRecord> {
        self.records.is_over.store(true, Ordering::Relaxed);
        let (identity, record) = self.records.read.lock().unwrap_or_else(PoisonError::into_inner).remove(key)?;
        (FileIdentity::of(&action_path(root, key)).ok()? == identity).then_some(record)
    }
}

impl Records {
    fn read(&self, root: &Path) {
        let Some(heads) = latest_heads(root).and_then(|path| json::read::<BTreeMap<StageId, ActionKey>>(&path).ok()?) else { return };
        for key in heads.values() {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let Ok(identity) = FileIdentity::of(&action_path(root, key)) else { continue };
            let Ok(Some(record)) = action_in(root, key) else { continue };
            self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, (identity, record));
        }
    }
}

/// The heads that were written last.
fn latest_heads(root: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(Cache::heads_of(root)).ok()?.filter_map(Result::ok);
    files.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path()))).max().map(|(_, path)| path)
}
