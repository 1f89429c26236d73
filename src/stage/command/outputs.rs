//! The outputs of a command: a map whose order counts, because the first output is the main one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stage::ArtifactType;

/// What a command writes, by name, in the order of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutputs(Vec<(String, CommandOutput)>);

/// A file that a command writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandOutput {
    /// What the file holds, for a built-in kind to take it.
    #[serde(rename = "type", default)]
    pub artifact: ArtifactType,
    /// The file's name: letters, digits, `.`, `-` and `_`.
    #[schemars(pattern("^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub file: String,
}

impl CommandOutputs {
    /// The outputs with their names, the main one first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CommandOutput)> {
        self.0.iter().map(|(name, output)| (name.as_str(), output))
    }

    pub(super) fn get(&self, name: &str) -> Option<&CommandOutput> {
        self.iter().find(|(other, _)| *other == name).map(|(_, output)| output)
    }
}

impl Serialize for CommandOutputs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for CommandOutputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CommandOutputs, D::Error> {
        deserializer.deserialize_map(OutputsVisitor)
    }
}

struct OutputsVisitor;

impl<'de> Visitor<'de> for OutputsVisitor {
    type Value = CommandOutputs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outputs by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CommandOutputs, A::Error> {
        let mut outputs = Vec::new();
        while let Some(entry) = map.next_entry()? {
            outputs.push(entry);
        }
        Ok(CommandOutputs(outputs))
    }
}

impl JsonSchema for CommandOutputs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CommandOutputs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<String, CommandOutput>>::json_schema(generator)
    }
}
