//! `Features`: HDF5 with `features` f32 `[N,D]` and the label of every row.

use std::path::Path;

use crate::artifact::{ArtifactError, RowLabels};

/// A features file, read whole.
#[derive(Debug)]
pub struct FeaturesFile {
    /// `[N*D]`, row by row.
    pub values: Vec<f32>,
    /// D.
    pub dimensions: usize,
    pub rows: RowLabels,
}

/// Writes a features file row by row.
#[derive(Debug)]
pub struct FeaturesWriter {}

impl FeaturesFile {
    /// Opens the file, checks its layout and reads it.
    pub fn open(_path: &Path) -> Result<FeaturesFile, ArtifactError> {
        todo!()
    }
}

impl FeaturesWriter {
    /// Creates a file for `rows.labels.len()` vectors of `dimensions` numbers.
    pub fn create(_path: &Path, _dimensions: usize, _rows: &RowLabels) -> Result<FeaturesWriter, ArtifactError> {
        todo!()
    }

    /// Appends the next vectors: `[n,D] f32`.
    pub fn append(&mut self, _values: &[f32]) -> Result<(), ArtifactError> {
        todo!()
    }

    /// Ends the file; an error if rows are missing.
    pub fn finish(self) -> Result<(), ArtifactError> {
        todo!()
    }
}
