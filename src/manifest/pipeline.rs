//! The resolved manifest: every reference leads to an output of the right type, every path is absolute.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::Sources;
use crate::key::{StageId, StagePath, VariantName};
use crate::manifest::Written;
use crate::stage::{Execution, StageSpec};

/// The pipelines of a manifest: a single one or, with a `matrix`, one for each combination of its values.
#[derive(Debug, Clone)]
pub struct Family {
    pub name: String,
    /// The manifest's file, absolute.
    pub manifest: PathBuf,
    /// At least one; the first parameter of the matrix varies slowest. All have the same stages by name.
    pub variants: Vec<Pipeline>,
    /// What it was read from as JSON: `extends` followed, parameters given their chosen values but not filled in. Of a large manifest the tree
    /// is large, and is only asked for when it is shared.
    pub(super) json: String,
}

/// A valid pipeline.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub name: String,
    pub description: Option<String>,
    /// Which of a family it is; none for a manifest without a matrix.
    pub variant: Option<Variant>,
    /// The manifest's file, absolute.
    pub manifest: PathBuf,
    /// The values of the manifest's `params` after overrides.
    pub params: BTreeMap<String, serde_json::Value>,
    /// In the order of the manifest; references may lead forwards but never round in a circle.
    pub stages: Vec<PipelineStage>,
}

/// One combination of a matrix's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    pub name: VariantName,
    /// The matrix's parameters in its order, with their values written out.
    pub settings: Vec<(String, String)>,
}

/// A valid stage.
#[derive(Debug, Clone)]
pub struct PipelineStage {
    pub id: StageId,
    pub spec: StageSpec,
    /// The stage's own seed, else the pipeline's.
    pub seed: u64,
    pub execution: Execution,
    /// Where its parameters stand.
    pub written: Written,
    /// One for every [`StageSpec::inputs`], in the same order.
    pub inputs: Vec<PipelineInput>,
}

/// An input with its source found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineInput {
    /// As in [`crate::stage::InputUse`].
    pub name: String,
    pub source: PipelineInputSource,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelineInputSource {
    /// An output of another stage of the pipeline, by its declared name.
    Output { stage: StageId, output: String },
    /// A file from outside, absolute.
    File(PathBuf),
    /// A folder or an archive of images from outside, or a folder within an archive; absolute.
    ImageFolder(PathBuf),
    /// A folder with files of any kind from outside, absolute.
    Folder(PathBuf),
}

impl Family {
    /// The files that it was read from, absolute, with the text that was read: the manifest, those that it extends, and the chosen
    /// profile's.
    pub fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.sources().into_iter().flat_map(|sources| sources.files())
    }

    /// The texts that the places in it are of; none without a stage.
    pub(super) fn sources(&self) -> Option<&Arc<Sources>> {
        self.variants.iter().flat_map(|pipeline| &pipeline.stages).find_map(|stage| stage.written.sources())
    }
}

impl Pipeline {
    /// What tells the pipeline from all others, also from its siblings: `name`, or `name/lr=0.01`. Names its folder under `output/`.
    pub fn place(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}/{}", self.name, variant.name),
            None => self.name.clone(),
        }
    }

    /// Whether the matrix gives this parameter its value.
    pub fn varies(&self, param: &str) -> bool {
        self.variant.iter().flat_map(|variant| &variant.settings).any(|(name, _)| name == param)
    }

    /// A stage of this pipeline among those of its family.
    pub fn stage_path(&self, stage: &StageId) -> StagePath {
        StagePath { variant: self.variant.as_ref().map(|variant| variant.name.clone()), stage: stage.clone() }
    }
}
