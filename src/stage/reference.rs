//! How a stage names its inputs and declares its outputs.
//!
//! Knows nothing of whether what is named exists.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::StageId;

/// What a file that passes between stages holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArtifactType {
    /// HDF5 with `images` u8 `[N,H,W,3]`.
    Images,
    /// HDF5 with `features` f32 `[N,D]`.
    Features,
    /// JSON with the mean of a set of images.
    Mean,
    /// A network or a classifier, as safetensors.
    Model,
    /// JSON with the metrics of every epoch.
    History,
    /// JSON with the metrics of an evaluation.
    Evaluation,
    /// CSV with the predicted class of every row.
    Predictions,
    /// CSV for people and spreadsheets: what another output holds, row by row.
    Table,
    /// A drawing of what another output holds, as SVG.
    Figure,
    /// Weights made elsewhere, as safetensors with torchvision's tensor names.
    Weights,
    /// Anything; only commands read it.
    #[default]
    File,
}

/// An input as written: `stage`, `stage.output` or `{ file: path }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An output of another stage; the main one where `output` is not given.
    Output { stage: StageId, output: Option<String> },
    /// A file from outside, relative to the manifest that writes it.
    File(PathBuf),
}

/// One input of a stage.
#[derive(Debug, Clone)]
pub struct InputUse<'a> {
    /// Its place in the stage, as dotted keys: `train`, `sources.val.images`.
    pub name: Cow<'static, str>,
    pub source: InputSource<'a>,
    /// What it may hold; empty for a folder or a table, which no stage produces.
    pub accepts: &'static [ArtifactType],
}

/// Where an input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSource<'a> {
    Reference(&'a Reference),
    /// A folder of image files, searched recursively, or what holds them instead: see [`crate::stage::ImageLocation`].
    ImageFolder(&'a Path),
    /// A folder with files of any kind, searched recursively.
    Folder(&'a Path),
    /// A single file that is no artifact, such as a table of labels.
    File(&'a Path),
}

/// One output of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputDecl {
    /// The name after the dot in `stage.output`.
    pub name: Cow<'static, str>,
    pub artifact: ArtifactType,
    /// The file's name in the stage's folder.
    pub file: Cow<'static, str>,
}

impl<'a> InputUse<'a> {
    pub(crate) fn reference(name: &'static str, reference: &'a Reference, accepts: &'static [ArtifactType]) -> Self {
        InputUse { name: Cow::Borrowed(name), source: InputSource::Reference(reference), accepts }
    }
}

impl OutputDecl {
    pub(crate) const fn new(name: &'static str, artifact: ArtifactType, file: &'static str) -> OutputDecl {
        OutputDecl { name: Cow::Borrowed(name), artifact, file: Cow::Borrowed(file) }
    }
}

impl ArtifactType {
    pub const ALL: [ArtifactType; 11] = [
        ArtifactType::Images,
        ArtifactType::Features,
        ArtifactType::Mean,
        ArtifactType::Model,
        ArtifactType::History,
        ArtifactType::Evaluation,
        ArtifactType::Predictions,
        ArtifactType::Table,
        ArtifactType::Figure,
        ArtifactType::Weights,
        ArtifactType::File,
    ];

    /// The name for people, as in "`mean` is a mean, not images".
    pub fn as_str(self) -> &'static str {
        match self {
            ArtifactType::Images => "images",
            ArtifactType::Features => "features",
            ArtifactType::Mean => "mean",
            ArtifactType::Model => "model",
            ArtifactType::History => "history",
            ArtifactType::Evaluation => "evaluation",
            ArtifactType::Predictions => "predictions",
            ArtifactType::Table => "table",
            ArtifactType::Figure => "figure",
            ArtifactType::Weights => "weights",
            ArtifactType::File => "file",
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Reference::Output { stage, output: None } => serializer.collect_str(stage),
            Reference::Output { stage, output: Some(output) } => serializer.collect_str(&format_args!("{stage}.{output}")),
            Reference::File(path) => serializer.collect_map([("file", path)]),
        }
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`stage`, `stage.output` or `{ file: path }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Reference, E> {
        let (stage, output) = match text.split_once('.') {
            Some((stage, output)) => (stage, Some(output.to_owned())),
            None => (text, None),
        };
        let stage = stage.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        Ok(Reference::Output { stage, output })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
        let mut file = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "file" {
                return Err(de::Error::unknown_field(&key, &["file"]));
            }
            file = Some(map.next_value()?);
        }
        file.map(Reference::File).ok_or_else(|| de::Error::missing_field("file"))
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An input: `stage`, `stage.output`, or `{ file: path }` for a file from outside.",
            "examples": ["mean", "pack.train", { "file": "resnet50.safetensors" }],
            "oneOf": [
                { "type": "string", "pattern": "^(\\$\\{.+\\}|[A-Za-z][A-Za-z0-9_-]*(\\.[a-z0-9-]+)?)$" },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string", "description": "A file, relative to the manifest." } },
                    "required": ["file"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
