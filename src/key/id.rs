//! The name of a stage within its pipeline.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A stage's name: letters, digits, `-` and `_`, beginning with a letter; it names a folder under `output/` too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StageId(String);

/// The text cannot name a stage.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a stage name; use letters, digits, `-` and `_`, beginning with a letter")]
pub struct StageIdError(String);

impl StageId {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StageId {
    type Err = StageIdError;

    fn from_str(text: &str) -> Result<StageId, StageIdError> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let continues_well = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if begins_well && continues_well { Ok(StageId(text.to_owned())) } else { Err(StageIdError(text.to_owned())) }
    }
}

impl TryFrom<String> for StageId {
    type Error = StageIdError;

    fn try_from(text: String) -> Result<StageId, StageIdError> {
        text.parse()
    }
}

impl From<StageId> for String {
    fn from(id: StageId) -> String {
        id.0
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
