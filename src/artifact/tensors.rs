//! Named tensors with a header of ours, as safetensors.
//!
//! The only user of the safetensors library. Knows nothing of what the tensors are.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::artifact::{ArtifactError, ModelTensor};

/// What a file holds.
pub(super) struct NamedTensors {
    /// Ours, as JSON; `None` for a file made elsewhere.
    pub(super) header: Option<String>,
    /// What others wrote beside it.
    pub(super) metadata: BTreeMap<String, String>,
    /// In the order of the file. Tensors of integers, which are counters and no weights, are left out.
    pub(super) tensors: Vec<ModelTensor>,
}

/// What a file holds, without the values.
pub(super) struct TensorShapes {
    /// Ours, as JSON; `None` for a file made elsewhere.
    pub(super) header: Option<String>,
    /// By name.
    pub(super) tensors: BTreeMap<String, Vec<usize>>,
}

/// The one metadata key that we write. One, because safetensors writes several in a random order.
const HEADER_KEY: &str = "packtrain";

/// Reads a file; tensors of other floating-point types are converted to f32.
pub(super) fn read(path: &Path) -> Result<NamedTensors, ArtifactError> {
    let invalid = |reason: String| ArtifactError::invalid(path, reason);
    let file = File::open(path).map_err(|source| ArtifactError::io(path, source))?;
    #[expect(unsafe_code, reason = "weights are hundreds of megabytes; a map spares a copy")]
    // SAFETY: the map is read-only and lives for this call; a file that is truncated meanwhile is outside our power.
    let bytes = unsafe { Mmap::map(&file) }.map_err(|source| ArtifactError::io(path, source))?;
    let not_safetensors = |error| invalid(format!("not a safetensors file: {error}"));

    let (_, fields) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
    let mut metadata: BTreeMap<_, _> = fields.metadata().clone().unwrap_or_default().into_iter().collect();
    let header = metadata.remove(HEADER_KEY);
    let views = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
    let mut tensors = Vec::with_capacity(views.len());
    for name in fields.offset_keys() {
        tensors.extend(read_tensor(&name, &views.tensor(&name).map_err(not_safetensors)?));
    }
    Ok(NamedTensors { header, metadata, tensors })
}

/// Reads our header, and the shape of every tensor that [`read`] would give, by name; no values are read.
pub(super) fn shapes(path: &Path) -> Result<TensorShapes, ArtifactError> {
    let file = File::open(path).map_err(|source| ArtifactError::io(path, source))?;
    #[expect(unsafe_code, reason = "only the first pages of a large file are needed")]
    // SAFETY: as above.
    let bytes = unsafe { Mmap::map(&file) }.map_err(|source| ArtifactError::io(path, source))?;
    let not_safetensors = |error| ArtifactError::invalid(path, format!("not a safetensors file: {error}"));
    let (_, fields) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
    let header = fields.metadata().as_ref().and_then(|metadata| metadata.get(HEADER_KEY).cloned());
    let views = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
    let weights = views.iter().filter(|(_, view)| matches!(view.dtype(), Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::BF16));
    Ok(TensorShapes { header, tensors: weights.map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect() })
}

/// Writes a file; the same content gives the same bytes.
pub(super) fn write(path: &Path, header: String, tensors: &[ModelTensor]) -> Result<(), ArtifactError> {
    let invalid = |reason: String| ArtifactError::invalid(path, reason);
    let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|tensor| little_endian(&tensor.values)).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        view.map(|view| (tensor.name.as_str(), view)).map_err(|error| invalid(format!("tensor {}: {error}", tensor.name)))
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    safetensors::serialize_to_file(views, Some(metadata), path).map_err(|error| invalid(error.to_string()))
}

fn read_tensor(name: &str, view: &TensorView<'_>) -> Option<ModelTensor> {
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes) as f32).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|&bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        _ => return None,
    };
    Some(ModelTensor { name: name.to_owned(), shape: view.shape().to_vec(), values })
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
