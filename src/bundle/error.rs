//! Why a run could not be bundled, or a bundle not be taken.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cache::CacheError;
use crate::key::StagePath;

/// Why a run could not be bundled, or a bundle not be taken. In the latter case nothing of it was.
#[derive(Debug, Error)]
pub enum BundleError {
    #[error("the run {run} is of an earlier version of packtrain, which did not keep its manifest whole")]
    NoManifest { run: String },
    #[error("the run {run} gave no result that could be handed over")]
    NoResult { run: String },
    #[error("the result of {stage} in that run is no longer in the cache")]
    Gone { stage: StagePath },
    #[error("{path} is no bundle that can be taken: {reason}", path = path.display())]
    Refused { path: PathBuf, reason: String },
    #[error("there is already another {path}", path = path.display())]
    ManifestThere { path: PathBuf },
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl BundleError {
    /// For `map_err`: the error of an operation on `path`.
    pub(super) fn io<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> BundleError {
        move |source| BundleError::Io { path: path.to_owned(), source: source.into() }
    }
}
