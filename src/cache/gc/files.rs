//! The files of the state folder that are neither action or checkpoint records nor objects.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use walkdir::{DirEntry, WalkDir};

use crate::cache::gc::Category;
use crate::cache::gc::holders::modified;
use crate::cache::{Cache, CacheError};

/// Such a file.
#[derive(Debug)]
pub(super) struct StrayFile {
    pub(super) path: PathBuf,
    pub(super) category: Category,
    pub(super) bytes: u64,
    pub(super) fate: Fate,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    IsRemoved,
    /// It lies in the scratch folder of a process that died, which is removed as a whole by [`sweep`].
    IsSwept,
}

/// A temporary file of a process that lives is renamed long before this.
const TEMPORARY_AGE: SignedDuration = SignedDuration::from_hours(1);

/// Finds them. `too_old` compares a file's time with an age, or with that of the policy.
pub(super) fn strays(cache: &Cache, too_old: &dyn Fn(Timestamp, Option<SignedDuration>) -> bool) -> Result<Vec<StrayFile>, CacheError> {
    let dead = dead_scratch(cache)?;
    let mut strays = Vec::new();
    // A run that is away may remove a file of its scratch folder meanwhile: what cannot be looked at any more is passed over.
    for entry in WalkDir::new(&cache.root).into_iter().filter_map(Result::ok).filter(|entry| !entry.file_type().is_dir()) {
        let (Ok(metadata), Some(category)) = (entry.metadata(), category(cache, &entry)) else { continue };
        let is_swept = dead.iter().any(|path| entry.path().starts_with(path));
        let is_removed = match category {
            Category::Listings => too_old(modified(&metadata), None),
            Category::Leftovers => !entry.path().starts_with(cache.work_folder()) && too_old(modified(&metadata), Some(TEMPORARY_AGE)),
            _ => false,
        };
        let fate = match (is_swept, is_removed) {
            (true, _) => Fate::IsSwept,
            (false, true) => Fate::IsRemoved,
            (false, false) => Fate::Stays,
        };
        strays.push(StrayFile { path: entry.into_path(), category, bytes: metadata.len(), fate });
    }
    Ok(strays)
}

/// Removes what processes that died left in `work/`, under its locks: their action may be run again at any moment.
pub(super) fn sweep(cache: &Cache) -> Result<(), CacheError> {
    for folder in dead_scratch(cache)?.iter().filter(|path| path.is_dir()) {
        let lock = folder.with_extension("lock");
        File::options().create(true).truncate(false).write(true).open(&lock).map_err(CacheError::io(&lock))?;
    }
    cache.sweep()
}

/// `None` for records and objects.
fn category(cache: &Cache, entry: &DirEntry) -> Option<Category> {
    let inner = entry.path().strip_prefix(&cache.root).ok()?;
    let folder = inner.parent().and_then(|parent| parent.iter().next()).and_then(|folder| folder.to_str());
    let extension = inner.extension().and_then(|extension| extension.to_str());
    match (folder, extension) {
        _ if entry.file_name().as_encoded_bytes().starts_with(b".tmp") => Some(Category::Leftovers),
        (Some("objects"), _) if cache.store.digest_at(entry.path()).is_some() => None,
        (Some("actions" | "checkpoints"), Some("json")) => None,
        (Some("listings"), None) => Some(Category::Listings),
        (Some("runs"), Some("json" | "events")) => Some(Category::RunRecords),
        (Some("heads"), Some("json")) | (None, _) => Some(Category::Bookkeeping),
        _ => Some(Category::Leftovers),
    }
}

/// The entries of `work/` that belong to no living process: their locks are not held.
fn dead_scratch(cache: &Cache) -> Result<Vec<PathBuf>, CacheError> {
    let work = cache.work_folder();
    let mut dead = Vec::new();
    for entry in fs::read_dir(&work).map_err(CacheError::io(&work))? {
        let path = entry.map_err(CacheError::io(&work))?.path();
        let lock = if path.is_dir() { path.with_extension("lock") } else { path.clone() };
        if !is_held(&lock)? {
            dead.push(path);
        }
    }
    Ok(dead)
}

fn is_held(lock: &Path) -> Result<bool, CacheError> {
    let Ok(file) = File::open(lock) else { return Ok(false) };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(CacheError { path: lock.to_owned(), source }),
    }
}
