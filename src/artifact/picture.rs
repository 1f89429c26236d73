//! Pictures as people have them, decoded to upright RGB.

use crate::artifact::ArtifactError;

/// An upright RGB image in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[H,W,3] u8`.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Decodes the bytes of an image file. Its type is taken from the bytes, EXIF orientation is applied.
    pub fn decode(_bytes: &[u8]) -> Result<Picture, ArtifactError> {
        todo!()
    }
}
