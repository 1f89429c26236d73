//! The object store: files by the digest of their content, read-only.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tempfile::NamedTempFile;
use walkdir::WalkDir;

use crate::cache::{CacheError, Memo};
use crate::key::Digest;

/// The folder `objects/`.
#[derive(Debug)]
pub struct ObjectStore {
    objects: PathBuf,
}

/// An object as the store's folders show it.
#[derive(Debug)]
pub(super) struct StoredObject {
    pub(super) digest: Digest,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Whether it has another name elsewhere, so that removing it here frees nothing.
    pub(super) is_linked: bool,
}

/// What a look at an object found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    Sound,
    Missing,
    /// Its content is not what its name says.
    Damaged,
}

impl ObjectStore {
    pub(super) fn new(objects: PathBuf) -> ObjectStore {
        ObjectStore { objects }
    }

    /// Where an object lies, whether or not it is there.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let (folder, rest) = name.split_at(2);
        self.objects.join(folder).join(rest)
    }

    /// Moves a finished file of a scratch folder, which is on the same file system, into the store.
    pub fn insert(&self, file: &Path, memo: &Memo) -> Result<Digest, CacheError> {
        let digest = prepare(file)?;
        self.take(&[file], &[(digest, self.path(&digest))], memo)?;
        Ok(digest)
    }

    /// As [`Self::insert`], of a file whose digest is known.
    pub fn insert_as(&self, digest: Digest, file: &Path, memo: &Memo) -> Result<(), CacheError> {
        seal(file)?;
        self.take(&[file], &[(digest, self.path(&digest))], memo)
    }

    /// Moves several finished files into the store; gives their digests. They are synced at the same time, which costs little more than
    /// to sync one.
    pub fn insert_all(&self, files: &[PathBuf], memo: &Memo) -> Result<Vec<Digest>, CacheError> {
        let prepared = |file: &PathBuf| prepare(file).map(|digest| (digest, self.path(&digest)));
        let targets: Vec<_> = files.par_iter().map(prepared).collect::<Result<_, _>>()?;
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        self.take(&files, &targets, memo)?;
        Ok(targets.into_iter().map(|(digest, _)| digest).collect())
    }

    /// Gives files that are synced their names in the store. Returns when these are durable too.
    fn take(&self, files: &[&Path], targets: &[(Digest, PathBuf)], memo: &Memo) -> Result<(), CacheError> {
        // A folder that is new is only durable once the one above is; whether it is new cannot be told while others make some.
        let mut folders = BTreeSet::from([self.objects.as_path()]);
        for (file, (_, target)) in files.iter().zip(targets) {
            make_parent(target)?;
            fs::rename(file, target).map_err(CacheError::io(target))?;
            folders.extend(target.parent());
        }
        folders.into_par_iter().try_for_each(sync_folder)?;
        targets.iter().try_for_each(|(digest, target)| memo.remember(target, *digest).map_err(CacheError::io(target)))
    }

    /// Looks at an object; reads it only if its identity is unknown.
    pub fn state(&self, digest: &Digest, memo: &Memo) -> Result<ObjectState, CacheError> {
        let path = self.path(digest);
        match memo.digest(&path) {
            Ok((found, _)) if found == *digest => Ok(ObjectState::Sound),
            Ok(_) => Ok(ObjectState::Damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ObjectState::Missing),
            Err(source) => Err(CacheError { path, source }),
        }
    }

    /// The content of a small object; `None` if it is missing or damaged.
    pub fn read(&self, digest: &Digest) -> Option<Vec<u8>> {
        fs::read(self.path(digest)).ok().filter(|bytes| Digest::of_bytes(bytes) == *digest)
    }

    /// Every object, sound or not.
    pub(super) fn all(&self) -> Result<Vec<StoredObject>, CacheError> {
        let mut objects = Vec::new();
        for entry in WalkDir::new(&self.objects).min_depth(2).max_depth(2) {
            let entry = entry.map_err(|error| CacheError { path: self.objects.clone(), source: error.into() })?;
            if let Some(digest) = self.digest_at(entry.path())
                && let Ok(metadata) = entry.metadata()
            {
                let (size, is_linked) = (metadata.len(), metadata.nlink() > 1);
                objects.push(StoredObject { digest, path: entry.into_path(), size, is_linked });
            }
        }
        Ok(objects)
    }

    /// The digest that an object's path stands for; `None` if it is not the path of an object.
    pub(super) fn digest_at(&self, path: &Path) -> Option<Digest> {
        let name: String = path.strip_prefix(&self.objects).ok()?.iter().filter_map(|part| part.to_str()).collect();
        name.parse().ok()
    }

    /// Takes a damaged object away, so that it is missing.
    pub fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        remove_file(&self.path(digest))
    }
}

/// Hashes a file and seals it.
fn prepare(file: &Path) -> Result<Digest, CacheError> {
    let digest = Digest::of_file(file).map_err(CacheError::io(file))?;
    seal(file)?;
    Ok(digest)
}

/// Makes a file read-only and durable.
fn seal(file: &Path) -> Result<(), CacheError> {
    fs::set_permissions(file, Permissions::from_mode(0o444)).map_err(CacheError::io(file))?;
    File::open(file).and_then(|open| open.sync_all()).map_err(CacheError::io(file))
}

/// Replaces a file by new content, which is there whole or not at all, also after a power cut.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let file = write_beside(path, bytes)?;
    file.as_file().sync_all().map_err(CacheError::io(path))?;
    persist(file, path)?;
    sync_parent(path)
}

/// As [`write_atomically`], but a power cut may bring back the content before.
pub(super) fn write_lazily(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let file = write_beside(path, bytes)?;
    file.as_file().sync_all().map_err(CacheError::io(path))?;
    persist(file, path)
}

/// Replaces a file by new content, which is there whole or not at all; after a power cut it may be damaged. For what can be done without.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    persist(write_beside(path, bytes)?, path)
}

fn write_beside(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, CacheError> {
    make_parent(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder).map_err(CacheError::io(folder))?;
    file.write_all(bytes).map_err(CacheError::io(path))?;
    Ok(file)
}

fn persist(file: NamedTempFile, path: &Path) -> Result<(), CacheError> {
    file.persist(path).map(drop).map_err(|error| CacheError { path: path.to_owned(), source: error.error })
}

pub(super) fn make_parent(path: &Path) -> Result<(), CacheError> {
    path.parent().map_or(Ok(()), |folder| fs::create_dir_all(folder).map_err(CacheError::io(folder)))
}

/// Removes a file that need not be there.
pub(super) fn remove_file(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(CacheError { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), CacheError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(CacheError::io(folder))
}

/// A rename is only durable once the folder is.
fn sync_parent(path: &Path) -> Result<(), CacheError> {
    path.parent().map_or(Ok(()), sync_folder)
}
