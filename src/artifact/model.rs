//! `Model`: safetensors with the architecture, the class names and the input rule in its metadata.
//!
//! Knows names, shapes and numbers; which of them make up a network is the worker's to know.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::tensors::{self, NamedTensors, TensorShapes};
use crate::artifact::{ArtifactError, Mean, PackRule};

/// A model file read into memory.
#[derive(Debug)]
pub struct ModelFile {
    /// What the metadata says; `None` for weights made elsewhere.
    pub header: Option<ModelHeader>,
    /// Metadata of weights made elsewhere, such as `mean` and `scale`.
    pub metadata: BTreeMap<String, String>,
    /// In the order of the file. Tensors of integers, which are counters and no weights, are left out.
    pub tensors: Vec<ModelTensor>,
}

/// A model file without the values of its tensors.
#[derive(Debug)]
pub struct ModelOutline {
    /// What the metadata says; `None` for weights made elsewhere.
    pub header: Option<ModelHeader>,
    /// The shapes of the tensors by name; those of integers are left out.
    pub tensors: BTreeMap<String, Vec<usize>>,
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
    /// How the pictures that it was trained on were packed; `None` if something else than packtrain packed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<PackRule>,
}

/// A named tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelTensor {
    pub name: String,
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl ModelOutline {
    /// Reads what a model or a file of weights says of itself, whatever its size.
    pub fn read(path: &Path) -> Result<ModelOutline, ArtifactError> {
        let TensorShapes { header, tensors } = tensors::shapes(path)?;
        Ok(ModelOutline { header: parse_header(path, header)?, tensors })
    }
}

impl ModelFile {
    /// Reads a model or weights made elsewhere; tensors of other floating-point types are converted to f32.
    pub fn read(path: &Path) -> Result<ModelFile, ArtifactError> {
        let NamedTensors { header, metadata, tensors } = tensors::read(path)?;
        Ok(ModelFile { header: parse_header(path, header)?, metadata, tensors })
    }

    /// Writes a model; the same content gives the same bytes.
    pub fn write(path: &Path, header: &ModelHeader, tensors: &[ModelTensor]) -> Result<(), ArtifactError> {
        let header = serde_json::to_string(header).map_err(|error| ArtifactError::invalid(path, error.to_string()))?;
        tensors::write(path, header, tensors)
    }
}

fn parse_header(path: &Path, header: Option<String>) -> Result<Option<ModelHeader>, ArtifactError> {
    let header = header.map(|text| serde_json::from_str(&text)).transpose();
    header.map_err(|error| ArtifactError::invalid(path, format!("the description of the model: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> ModelHeader {
        ModelHeader {
            architecture: serde_json::json!({"alexnet": {"l2": 2e-4}}),
            class_names: vec!["cat".into(), "dög".into()],
            input: Some(InputSpec { size: 227, eval: "resize".into(), scale: 1.0, mean: None, packed: None }),
        }
    }

    fn tensors() -> Vec<ModelTensor> {
        vec![
            ModelTensor { name: "b".into(), shape: vec![2, 3], values: vec![0.0, -1.5, 2.5, f32::MIN_POSITIVE, 4.0, 1e30] },
            ModelTensor { name: "a".into(), shape: vec![1], values: vec![7.0] },
        ]
    }

    #[test]
    fn a_written_model_reads_back_and_is_the_same_bytes_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1.safetensors"), folder.path().join("2.safetensors"));
        ModelFile::write(&first, &header(), &tensors()).unwrap();
        ModelFile::write(&second, &header(), &tensors()).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());

        let read = ModelFile::read(&first).unwrap();
        assert_eq!(read.header, Some(header()));
        let mut by_name = tensors();
        by_name.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(read.tensors, by_name);
    }

    /// Made with:
    /// ```python
    /// from safetensors.torch import save; import torch
    /// x = torch.tensor([1.5, -0.25, 3.140625])
    /// print(save({"bf16": x.bfloat16(), "f16": x.half(), "f64": x.double(), "steps": torch.tensor([3])},
    ///            {"scale": "0-255"}).hex())
    /// ```
    const MADE_BY_PYTORCH: &str = include_str!("../../tests/reference/dtypes.safetensors.hex");

    #[test]
    fn floating_point_tensors_become_f32_and_counters_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let digits: Vec<u8> = MADE_BY_PYTORCH.trim().bytes().collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        std::fs::write(&path, digits.chunks(2).map(byte).collect::<Vec<_>>()).unwrap();

        let read = ModelFile::read(&path).unwrap();
        assert_eq!(read.header, None);
        assert_eq!(read.metadata, BTreeMap::from([("scale".to_owned(), "0-255".to_owned())]));
        let names: Vec<_> = read.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!(names, ["f64", "bf16", "f16"]);
        assert!(read.tensors.iter().all(|tensor| tensor.values == [1.5, -0.25, 3.140625]));
    }

    #[test]
    fn a_file_of_another_kind_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pth");
        std::fs::write(&path, b"PK\x03\x04 this is a pickle in a zip").unwrap();
        let message = ModelFile::read(&path).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: not a safetensors file", path.display())), "{message}");
    }
}
