//! JSON artifacts as files: indented, with a newline at the end, the same value giving the same bytes.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::ArtifactError;

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ArtifactError> {
    let file = File::open(path).map_err(|source| ArtifactError::io(path, source))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| ArtifactError::invalid(path, error.to_string()))
}

pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| ArtifactError::invalid(path, error.to_string()))?;
    text.push(b'\n');
    fs::write(path, text).map_err(|source| ArtifactError::io(path, source))
}
