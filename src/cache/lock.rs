//! The lock of an action and its scratch folder. The kernel releases the lock when its holder dies, whatever the cause.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::cache::stay::PINS;
use crate::cache::{Cache, CacheError};
use crate::key::ActionKey;

/// Held while an action runs. Its scratch folder is empty at first and goes away with the lock.
#[derive(Debug)]
pub struct ActionLock {
    file: File,
    path: PathBuf,
    scratch: PathBuf,
}

impl ActionLock {
    /// An empty folder on the store's file system.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Removes what a try that failed left in the scratch folder.
    pub fn empty_scratch(&mut self) -> Result<(), CacheError> {
        remove_folder(&self.scratch)?;
        fs::create_dir(&self.scratch).map_err(CacheError::io(&self.scratch))
    }
}

impl Cache {
    /// Locks an action. If another process holds it, `waiting` is called once with what that process wrote of itself.
    pub fn lock(&self, key: &ActionKey, holder: &str, waiting: impl FnOnce(&str)) -> Result<ActionLock, CacheError> {
        let path = self.root.join("work").join(format!("{key}.lock"));
        let file = acquire(&path, waiting)?;
        file.set_len(0).and_then(|()| (&file).write_all(holder.as_bytes())).map_err(CacheError::io(&path))?;
        let mut lock = ActionLock { file, scratch: path.with_extension(""), path };
        lock.empty_scratch()?;
        Ok(lock)
    }

    /// Removes the scratch folders and the pins of processes that died.
    pub fn sweep(&self) -> Result<(), CacheError> {
        let work = self.root.join("work");
        for entry in fs::read_dir(&work).map_err(CacheError::io(&work))? {
            let path = entry.map_err(CacheError::io(&work))?.path();
            if path.extension().is_some_and(|extension| extension == "lock" || extension == PINS) {
                sweep_one(&path)?;
            }
        }
        Ok(())
    }
}

impl Drop for ActionLock {
    /// What cannot be removed now is removed by the next sweep.
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.scratch));
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}

fn sweep_one(path: &Path) -> Result<(), CacheError> {
    let Ok(file) = File::open(path) else { return Ok(()) };
    if file.try_lock().is_ok() && names(path, &file) {
        remove_folder(&path.with_extension(""))?;
        drop(fs::remove_file(path));
    }
    Ok(())
}

/// A lock file is removed by its holder; one who waited for it meanwhile holds a file that has no name any more, and
/// begins again.
pub(super) fn acquire(path: &Path, waiting: impl FnOnce(&str)) -> Result<File, CacheError> {
    let mut waiting = Some(waiting);
    loop {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(CacheError::io(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                (&file).read_to_string(&mut holder).map_err(CacheError::io(path))?;
                if let Some(waiting) = waiting.take() {
                    waiting(&holder);
                }
                file.lock().map_err(CacheError::io(path))?;
            }
            Err(TryLockError::Error(source)) => return Err(CacheError { path: path.to_owned(), source }),
        }
        if names(path, &file) {
            return Ok(file);
        }
    }
}

/// Whether `path` still leads to the open file.
fn names(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(open)) => (named.dev(), named.ino()) == (open.dev(), open.ino()),
        _ => false,
    }
}

fn remove_folder(path: &Path) -> Result<(), CacheError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CacheError { path: path.to_owned(), source: error }),
        _ => Ok(()),
    }
}
