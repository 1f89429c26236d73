//! What can go wrong with a remote, in a few words.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cache::CacheError;

/// Why a remote did not give or take something.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// It cannot be reached, refuses, or is not as it should be.
    #[error("the remote cache {remote}: {reason}")]
    Failed { remote: String, reason: String },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl RemoteError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> RemoteError {
        move |source| RemoteError::Io { path: path.to_owned(), source }
    }
}

/// Why one thing could not be transferred. Only [`Trouble::Failed`] says something of the remote as a whole.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It is not there.
    Missing,
    /// It is there and is not what it should be.
    Damaged(String),
    Failed(String),
    Here(RemoteError),
}

impl From<object_store::Error> for Trouble {
    fn from(error: object_store::Error) -> Trouble {
        use object_store::Error as E;
        match error {
            E::NotFound { .. } => Trouble::Missing,
            E::Unauthenticated { .. } | E::PermissionDenied { .. } => {
                Trouble::Failed("it refuses access; are the credentials in the environment those for it?".to_owned())
            }
            other => Trouble::Failed(root(&other)),
        }
    }
}

/// The innermost cause: the outer ones name requests and addresses.
fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
