//! Names and tags that people give to runs.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record::LAST;

/// A name or a tag of a run: letters, digits, `-`, `_` and `.`, beginning with a letter, so that no id looks like one; neither
/// `last` nor the name of a YAML file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[A-Za-z][A-Za-z0-9._-]*$", "examples" = ["baseline"]))]
pub struct Label(String);

/// The text can be neither a name nor a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    #[error("`{0}` cannot name a run; use letters, digits, `-`, `_` and `.`, beginning with a letter")]
    Letters(String),
    #[error("`{LAST}` cannot name a run, because it always means the one before now")]
    Last,
    #[error("`{0}` cannot name a run, because it looks like a manifest; leave out its ending")]
    Manifest(String),
}

impl Label {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Label, LabelError> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let continues_well = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        match text {
            _ if !begins_well || !continues_well => Err(LabelError::Letters(text.to_owned())),
            LAST => Err(LabelError::Last),
            _ if text.ends_with(".yaml") || text.ends_with(".yml") => Err(LabelError::Manifest(text.to_owned())),
            _ => Ok(Label(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Label, LabelError> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_no_label() {
        let labels = ["baseline", "v1.2", "Lr_0-01", "lastly"].map(|text| text.parse::<Label>().is_ok());
        assert_eq!(labels, [true; 4]);
        let refused = ["", "2nd", "20260102T030405-1234", "a b", "last~1", "last", "demo.yaml"].map(|text| text.parse::<Label>());
        let [.., last, manifest] = &refused;
        assert!(refused.iter().all(Result::is_err), "{refused:?}");
        assert_eq!((last, manifest), (&Err(LabelError::Last), &Err(LabelError::Manifest("demo.yaml".to_owned()))));
    }
}
