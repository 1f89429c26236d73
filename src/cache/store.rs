//! The object store: files by the digest of their content, read-only.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

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
        let digest = Digest::of_file(file).map_err(CacheError::io(file))?;
        self.insert_as(digest, file, memo)?;
        Ok(digest)
    }

    /// As [`Self::insert`], of a file whose digest is known.
    pub fn insert_as(&self, digest: Digest, file: &Path, memo: &Memo) -> Result<(), CacheError> {
        let target = self.path(&digest);
        fs::set_permissions(file, Permissions::from_mode(0o444)).map_err(CacheError::io(file))?;
        File::open(file).and_then(|open| open.sync_all()).map_err(CacheError::io(file))?;
        make_parent(&target)?;
        fs::rename(file, &target).map_err(CacheError::io(&target))?;
        sync_parent(&target)?;
        memo.remember(&target, digest).map_err(CacheError::io(&target))
    }

    /// Stores bytes from memory, by way of a file in a scratch folder.
    pub fn insert_bytes(&self, bytes: &[u8], scratch: &Path, memo: &Memo) -> Result<Digest, CacheError> {
        let digest = Digest::of_bytes(bytes);
        if self.path(&digest).exists() {
            return Ok(digest);
        }
        let path = scratch.join(digest.to_string());
        fs::write(&path, bytes).map_err(CacheError::io(&path))?;
        self.insert(&path, memo)
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

/// Replaces a file by new content, which is there whole or not at all.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    make_parent(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(CacheError::io(folder))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(CacheError::io(path))?;
    file.persist(path).map_err(|error| CacheError { path: path.to_owned(), source: error.error })?;
    sync_parent(path)
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
