//! A command line as written, and the placeholders in it.
//!
//! `{inputs.name}`, `{outputs.name}` and `{seed}` are placeholders. Shells, awk and Python write braces too, so that all others
//! are left as they are; only `{input.…}` and `{output.…}`, which are slips, are taken for placeholders that nothing stands for.
//! Parameters of the manifest, `${name}`, have their values before anything here sees the text.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandLine {
    /// A text for `sh -ec`: the shell ends at the first command that fails.
    Shell(String),
    /// A program and its arguments; no shell reads them.
    Program(#[schemars(length(min = 1))] Vec<Word>),
}

/// A text; of a number or a truth value, as it is written in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Scalar")]
pub struct Word(String);

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Bool(bool),
    Number(serde_json::Number),
}

static PLACEHOLDER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{((?:in|out)puts?\.[A-Za-z0-9_-]+|seed)\}").ok());

const SEED: &str = "seed";

/// The placeholders of a text, without their braces.
pub(super) fn placeholders(text: &str) -> Vec<&str> {
    let found = PLACEHOLDER.iter().flat_map(|regex| regex.captures_iter(text));
    found.filter_map(|captures| captures.get(1)).map(|name| name.as_str()).collect()
}

/// Whether the seed is part of a text.
pub(super) fn mentions_seed(text: &str) -> bool {
    placeholders(text).contains(&SEED)
}

/// Puts values in the place of placeholders. One without a value is left.
pub(super) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let replacement = |found: &Captures<'_>| value(&found[1]).unwrap_or_else(|| found[0].to_owned());
    let expanded = PLACEHOLDER.as_ref().map(|regex| regex.replace_all(text, replacement));
    expanded.unwrap_or(Cow::Borrowed(text)).into_owned()
}

impl CommandLine {
    /// The program and its arguments, placeholders in them.
    pub(super) fn words(&self) -> Vec<&str> {
        match self {
            CommandLine::Shell(text) if text.trim().is_empty() => Vec::new(),
            CommandLine::Shell(text) => vec!["sh", "-ec", text],
            CommandLine::Program(words) => words.iter().map(Word::as_str).collect(),
        }
    }

    /// Every text as written, with its place in the stage.
    pub(super) fn texts(&self) -> Vec<(String, &str)> {
        match self {
            CommandLine::Shell(text) => vec![("run".to_owned(), text)],
            CommandLine::Program(words) => words.iter().enumerate().map(|(index, word)| (format!("run.{index}"), word.as_str())).collect(),
        }
    }
}

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Scalar> for Word {
    fn from(scalar: Scalar) -> Word {
        Word(match scalar {
            Scalar::Text(text) => text,
            Scalar::Bool(value) => value.to_string(),
            Scalar::Number(number) => number.to_string(),
        })
    }
}

impl JsonSchema for Word {
    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_meant_as_a_placeholder_is_one() {
        let text = "${x} {inputs.a} {{outputs.b-2}} {seed} {input.c} awk '{print $1}' {} {a.b} {inputs.} {inputs.a b} {\"seed\"}";
        assert_eq!(placeholders(text), ["inputs.a", "outputs.b-2", "seed", "input.c"]);
    }

    #[test]
    fn numbers_and_truth_values_are_written_as_people_write_them() {
        let words: Vec<Word> = serde_json::from_str(r#"["a b", 3, 0.001, 1e-5, true, -7]"#).unwrap();
        let words: Vec<&str> = words.iter().map(Word::as_str).collect();
        assert_eq!(words, ["a b", "3", "0.001", "0.00001", "true", "-7"]);
    }
}
