//! The names of stages and variants.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A stage's name: letters, digits, `-` and `_`, beginning with a letter; it names a folder under `output/` too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z][A-Za-z0-9_-]*$", "examples" = ["pack", "train"]))]
pub struct StageId(String);

/// A variant's name within its pipeline: `lr=0.01,batch=64`. It names a folder under `output/` too; no stage's name has a `=`, so
/// that the two never meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("examples" = ["lr=0.01,batch=64"]))]
pub struct VariantName(String);

/// A stage within a run: of the pipeline, or of one of its variants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct StagePath {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantName>,
    pub stage: StageId,
}

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

impl VariantName {
    /// Names the variant with these values of parameters. Of a value, what a folder's name had better not have becomes `-`.
    pub fn new<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> VariantName {
        let settings = settings.into_iter().map(|(name, value)| format!("{name}={}", VariantName::sanitized(value)));
        VariantName(settings.collect::<Vec<_>>().join(","))
    }

    /// A value as it stands in a name: letters, digits, `.`, `_`, `+` and `-`.
    pub fn sanitized(value: &str) -> String {
        value.chars().map(|c| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' }).collect()
    }

    /// The name as a text.
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

impl fmt::Display for VariantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{variant}/{}", self.stage),
            None => self.stage.fmt(f),
        }
    }
}

impl fmt::Debug for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_s_name_is_fit_for_a_folder() {
        let name = VariantName::new([("lr", "1e-5"), ("images", "../data sets/cifär"), ("flip", "true")]);
        assert_eq!(name.as_str(), "lr=1e-5,images=..-data-sets-cif-r,flip=true");
    }
}
