//! Records of the cache as JSON files, written whole or not at all.

use std::path::Path;
use std::{fs, io};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache::CacheError;
use crate::cache::store::write_atomically;

/// Reads a record; `None` if there is none, or one that cannot be understood: damage is a miss.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CacheError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CacheError { path: path.to_owned(), source }),
    }
}

/// Writes a record.
pub(super) fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), CacheError> {
    let bytes = serde_json::to_vec_pretty(record).map_err(|error| CacheError { path: path.to_owned(), source: error.into() })?;
    write_atomically(path, &bytes)
}
