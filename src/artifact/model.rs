//! `Model`: safetensors with the architecture, the class names and the input rule in its metadata.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactError, Mean};

/// A model file read into memory.
#[derive(Debug)]
pub struct ModelFile {
    /// What the metadata says; `None` for weights made elsewhere.
    pub header: Option<ModelHeader>,
    /// Metadata of weights made elsewhere, such as `mean` and `scale`.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// In the order of the file.
    pub tensors: Vec<ModelTensor>,
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModelHeader {
    /// The network with its options, or the classifier, as in the manifest.
    pub architecture: serde_json::Value,
    /// In the order of the outputs.
    pub class_names: Vec<String>,
    /// For networks.
    pub input: Option<InputSpec>,
}

/// How a network wants its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InputSpec {
    /// Side in pixels.
    pub size: u32,
    /// `resize` or `center-crop`.
    pub eval: String,
    /// Factor after the mean is subtracted.
    pub scale: f64,
    /// What was subtracted in training.
    pub mean: Option<Mean>,
}

/// A named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelTensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl ModelFile {
    /// Reads a model or weights made elsewhere; tensors of other floating-point types are converted to f32.
    pub fn read(_path: &Path) -> Result<ModelFile, ArtifactError> {
        todo!()
    }

    /// Writes a model; the same content gives the same bytes.
    pub fn write(_path: &Path, _header: &ModelHeader, _tensors: &[ModelTensor]) -> Result<(), ArtifactError> {
        todo!()
    }
}
