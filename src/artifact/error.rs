//! Why an artifact could not be read or written.

use std::path::PathBuf;

use thiserror::Error;

/// An artifact's file is not what it should be, or could not be read or written.
#[derive(Debug, Error)]
pub enum ArtifactError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The file opens, but is not the artifact that it should be.
    #[error("{path}: {reason}", path = path.display())]
    Invalid { path: PathBuf, reason: String },
}

impl ArtifactError {
    pub(super) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> ArtifactError {
        ArtifactError::Io { path: path.into(), source }
    }

    pub(super) fn invalid(path: impl Into<PathBuf>, reason: impl Into<String>) -> ArtifactError {
        ArtifactError::Invalid { path: path.into(), reason: reason.into() }
    }
}
