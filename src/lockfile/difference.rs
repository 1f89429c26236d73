//! How what is there differs from what a lock says, for people.

use std::fmt;
use std::path::PathBuf;

/// The first difference that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of the lock.
    pub path: PathBuf,
    /// None if the lock does not speak of it.
    pub line: Option<usize>,
    /// What differs: `input images of pack`.
    pub what: String,
    /// None if it should not be there.
    pub expected: Option<String>,
    /// None if it is not there.
    pub actual: Option<String>,
    /// Why that may be.
    pub notes: Vec<String>,
}

impl std::error::Error for Difference {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { path, line, what, expected, actual, notes } = self;
        write!(f, "{}", path.display())?;
        line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        match (expected, actual) {
            (Some(_), None) => write!(f, ": {what} is locked and not there")?,
            (None, _) => write!(f, ": {what} is not in the lock")?,
            (Some(_), Some(_)) => write!(f, ": {what} is not the locked one")?,
        }
        if let Some(actual) = actual {
            expected.iter().try_for_each(|expected| write!(f, "\n  expected {expected}"))?;
            write!(f, "\n  actual   {actual}")?;
        }
        notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}
