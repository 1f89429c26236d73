//! `Images`: HDF5 with `images` u8 `[N,H,W,3]` RGB, contiguous, and the label of every row.

use std::path::Path;

use crate::artifact::ArtifactError;

/// The labels and origins of the rows of an images or features file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowLabels {
    /// `[N]`: the index of the class of every row.
    pub labels: Vec<i64>,
    /// `[C]`: class names, sorted.
    pub label_names: Vec<String>,
    /// `[N]`: path of the source image relative to its folder.
    pub paths: Vec<String>,
}

/// An images file opened for reading, mapped into memory.
#[derive(Debug)]
pub struct ImagesFile {}

/// Writes an images file row by row, with bounded memory and without timestamps.
#[derive(Debug)]
pub struct ImagesWriter {}

impl ImagesFile {
    /// Opens the file and checks its layout.
    pub fn open(_path: &Path) -> Result<ImagesFile, ArtifactError> {
        todo!()
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        todo!()
    }

    /// The pixels of one image: `[H,W,3] u8` RGB.
    pub fn row(&self, _index: usize) -> &[u8] {
        todo!()
    }

    /// Labels, class names and paths.
    pub fn rows(&self) -> &RowLabels {
        todo!()
    }
}

impl ImagesWriter {
    /// Creates a file for `rows.labels.len()` images of `size` (height, width).
    pub fn create(_path: &Path, _size: (usize, usize), _rows: &RowLabels) -> Result<ImagesWriter, ArtifactError> {
        todo!()
    }

    /// Appends the next images: `[n,H,W,3] u8`.
    pub fn append(&mut self, _pixels: &[u8]) -> Result<(), ArtifactError> {
        todo!()
    }

    /// Ends the file; an error if rows are missing.
    pub fn finish(self) -> Result<(), ArtifactError> {
        todo!()
    }
}
