//! Runs beside the garbage collection: what a run uses is not taken away.
//!
//! While a run looks at the cache or writes to it, it holds the state folder's lock shared; the collection holds it
//! alone. A run that will be away for long, because it runs a stage or waits for another run, lets go of the lock, but
//! first writes down what it will come back to, in a file of its own that it holds locked meanwhile. Both locks are the
//! kernel's, so that those of a dead process are gone with it.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::cache::identity::now;
use crate::cache::lock::acquire;
use crate::cache::{ActionRecord, Cache, CacheError};
use crate::key::{ActionKey, Digest, TrajectoryKey};

/// Nothing is collected while this is held.
#[derive(Debug)]
pub struct Stay<'a> {
    cache: &'a Cache,
    lock: File,
}

/// No run looks at the cache while this is held. What is decided by records of runs is decided under it.
#[derive(Debug)]
pub struct Alone<'a> {
    cache: &'a Cache,
    #[expect(dead_code, reason = "held for its lock")]
    lock: File,
}

/// What a run that is away will come back to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pins {
    actions: BTreeSet<ActionKey>,
    /// Named besides, because a result whose inputs changed meanwhile has no record.
    objects: BTreeSet<Digest>,
    states: BTreeSet<TrajectoryKey>,
}

/// Tells the files of the threads of a process apart.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// What the names of files with pins end with.
pub(super) const PINS: &str = "pins";

impl Cache {
    /// Keeps the collection away. Waits while one is under way.
    pub fn stay(&self) -> Result<Stay<'_>, CacheError> {
        let (path, lock) = self.open_lock()?;
        lock.lock_shared().map_err(CacheError::io(&path))?;
        Ok(Stay { cache: self, lock })
    }

    /// Keeps every run away that is not away by itself. Waits for those that are not.
    pub fn alone(&self) -> Result<Alone<'_>, CacheError> {
        let (path, lock) = self.open_lock()?;
        lock.lock().map_err(CacheError::io(&path))?;
        Ok(Alone { cache: self, lock })
    }

    /// What the runs that are away come back to.
    pub(super) fn pins(&self) -> Result<Pins, CacheError> {
        let work = self.work_folder();
        let mut all = Pins::default();
        for entry in fs::read_dir(&work).map_err(CacheError::io(&work))? {
            let path = entry.map_err(CacheError::io(&work))?.path();
            if path.extension().is_some_and(|extension| extension == PINS)
                && let Some(pins) = read_held(&path).map_err(CacheError::io(&path))?
            {
                all.extend(pins);
            }
        }
        Ok(all)
    }

    fn open_lock(&self) -> Result<(PathBuf, File), CacheError> {
        let path = self.root.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(CacheError::io(&path))?;
        Ok((path, file))
    }
}

impl Alone<'_> {
    pub(super) fn cache(&self) -> &Cache {
        self.cache
    }
}

impl Stay<'_> {
    /// Does what takes long. Collections may come and go meanwhile, and leave what is pinned.
    pub fn away<T>(&self, pins: &Pins, work: impl FnOnce() -> T) -> Result<T, CacheError> {
        let pinned = PinFile::write(pins, &self.cache.work_folder())?;
        self.lock.unlock().map_err(CacheError::io(&pinned.path))?;
        let result = work();
        self.lock.lock_shared().map_err(CacheError::io(&pinned.path))?;
        Ok(result)
    }
}

impl Pins {
    /// Pins results, with or without a record.
    pub fn of_results<'a>(records: impl IntoIterator<Item = &'a ActionRecord>) -> Pins {
        let mut pins = Pins::default();
        for record in records {
            pins.actions.insert(record.fingerprint.key());
            pins.objects.extend(record.outputs.values().map(|file| file.digest));
        }
        pins
    }

    /// Pins the states of a training besides.
    pub fn with_states<'a>(mut self, states: impl IntoIterator<Item = &'a TrajectoryKey>) -> Pins {
        self.states.extend(states);
        self
    }

    pub(super) fn has_action(&self, key: &ActionKey) -> bool {
        self.actions.contains(key)
    }

    pub(super) fn has_object(&self, digest: &Digest) -> bool {
        self.objects.contains(digest)
    }

    pub(super) fn has_state(&self, key: &TrajectoryKey) -> bool {
        self.states.contains(key)
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &Digest> {
        self.objects.iter()
    }

    fn extend(&mut self, other: Pins) {
        let Pins { actions, objects, states } = other;
        self.actions.extend(actions);
        self.objects.extend(objects);
        self.states.extend(states);
    }
}

/// Gone when it is dropped; without meaning when its process has died.
struct PinFile {
    path: PathBuf,
    #[expect(dead_code, reason = "held for its lock")]
    file: File,
}

impl PinFile {
    fn write(pins: &Pins, folder: &Path) -> Result<PinFile, CacheError> {
        let path = folder.join(format!("{}-{}-{}.{PINS}", std::process::id(), now(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
        let file = acquire(&path, |_| {})?;
        let bytes = serde_json::to_vec(pins).map_err(|error| CacheError { path: path.clone(), source: error.into() })?;
        (&file).write_all(&bytes).map_err(CacheError::io(&path))?;
        Ok(PinFile { path, file })
    }
}

impl Drop for PinFile {
    /// What cannot be removed now is removed by the next sweep.
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

/// The pins in a file whose process is alive; an error if they cannot be understood, because then nothing may be removed.
fn read_held(path: &Path) -> io::Result<Option<Pins>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(serde_json::from_reader(&file)?)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
