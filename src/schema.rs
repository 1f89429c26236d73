//! The JSON Schemas of what people write and of what programs read: manifests, events, run records, and artifacts in JSON.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::artifact::{Evaluation, History, Mean, OversampleEvaluation};
use crate::event::RunEvent;
use crate::manifest;
use crate::record::RunRecord;

/// A kind of document that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Document {
    /// What `run` takes.
    #[default]
    Manifest,
    /// What `--profile` chooses from.
    Profiles,
    /// A line that `run --json` prints.
    Event,
    /// What is kept of a run.
    Run,
    /// `evaluation.json` of `evaluate` and of `oversample-eval`.
    Evaluation,
    History,
    Mean,
}

/// An evaluation, or one on whole images beside one on several crops of each.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "Evaluation")]
#[expect(dead_code, reason = "only its schema is of interest")]
enum EvaluationFile {
    Plain(Evaluation),
    Oversample(OversampleEvaluation),
}

impl Document {
    /// All kinds.
    pub const ALL: [Document; 7] =
        [Document::Manifest, Document::Profiles, Document::Event, Document::Run, Document::Evaluation, Document::History, Document::Mean];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Document::Manifest => "manifest",
            Document::Profiles => "profiles",
            Document::Event => "event",
            Document::Run => "run",
            Document::Evaluation => "evaluation",
            Document::History => "history",
            Document::Mean => "mean",
        }
    }

    /// The file under `schemas/`.
    pub fn file(self) -> String {
        match self {
            // What a manifest describes; editors have known the file by this name from the beginning.
            Document::Manifest => "pipeline.schema.json".to_owned(),
            other => format!("{}.schema.json", other.name()),
        }
    }

    /// The schema (draft 2020-12).
    pub fn schema(self) -> Value {
        match self {
            Document::Manifest => manifest::schema(),
            Document::Profiles => manifest::profiles_schema(),
            Document::Event => written::<RunEvent>(),
            Document::Run => written::<RunRecord>(),
            Document::Evaluation => written::<EvaluationFile>(),
            Document::History => written::<History>(),
            Document::Mean => written::<Mean>(),
        }
    }
}

/// The schema of what packtrain writes.
fn written<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Document {
    type Err = String;

    fn from_str(text: &str) -> Result<Document, String> {
        let names = || Document::ALL.map(Document::name).join("`, `");
        let found = Document::ALL.into_iter().find(|document| document.name() == text);
        found.ok_or_else(|| format!("`{text}` has no schema; there are those of `{}`", names()))
    }
}
