//! The resolved manifest: every reference leads to an output of the right type, every path is absolute.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::key::StageId;
use crate::stage::StageSpec;

/// A valid pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    pub description: Option<String>,
    /// The manifest's file, absolute.
    pub manifest: PathBuf,
    /// The values of the manifest's `params` after overrides.
    pub params: BTreeMap<String, serde_json::Value>,
    /// In the order of the manifest; references may lead forwards but never round in a circle.
    pub stages: Vec<PipelineStage>,
}

/// A valid stage.
#[derive(Debug, Clone)]
pub struct PipelineStage {
    pub id: StageId,
    pub spec: StageSpec,
    /// The stage's own seed, else the pipeline's.
    pub seed: u64,
    /// One for every [`StageSpec::inputs`], in the same order.
    pub inputs: Vec<PipelineInput>,
}

/// An input with its source found.
#[derive(Debug, Clone)]
pub struct PipelineInput {
    /// As in [`crate::stage::InputUse`].
    pub name: String,
    pub source: PipelineInputSource,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineInputSource {
    /// An output of another stage of the pipeline, by its declared name.
    Output { stage: StageId, output: &'static str },
    /// A file from outside, absolute.
    File(PathBuf),
    /// A folder of images from outside, absolute.
    ImageFolder(PathBuf),
}
