//! Why the cache could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The state folder or an output folder could not be used. Damaged content is no error: it is a miss.
#[derive(Debug, Error)]
#[error("{path}: {source}", path = path.display())]
pub struct CacheError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl CacheError {
    /// For `map_err`: the error of an operation on `path`.
    pub(super) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> CacheError {
        move |source| CacheError { path: path.as_ref().to_owned(), source }
    }
}
