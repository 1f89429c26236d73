//! Why a row could not be measured.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use thiserror::Error;

#[derive(Debug, Error)]
pub enum BenchError {
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{command}` cannot be started: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` ended with {status}: {said}")]
    Failed { command: String, status: ExitStatus, said: String },
    #[error("{program} said `{said}` where a number was expected")]
    NoNumber { program: String, said: String },
    #[error("there is no row `{name}`; `make bench LIST=1` names them")]
    UnknownRow { name: String },
    #[error("{0}")]
    Unexpected(String),
}

impl BenchError {
    /// For `map_err`: an error at a place.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> BenchError {
        move |source| BenchError::Io { path: path.to_owned(), source }
    }
}
