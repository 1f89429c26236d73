//! `Mean`: what is subtracted from every image, as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactError;

/// The mean of a set of images, in 0–255 units, by channel; with `per: pixel` for every pixel too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    #[serde(rename = "R")]
    pub r: f64,
    #[serde(rename = "G")]
    pub g: f64,
    #[serde(rename = "B")]
    pub b: f64,
    /// Standard deviation of R, G, B.
    pub std: [f64; 3],
    /// Images that it was taken over.
    pub images: u64,
    /// The mean image, with `per: pixel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<MeanImage>,
}

/// A mean for every pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeanImage {
    pub height: usize,
    pub width: usize,
    /// `[H*W*3]` RGB.
    pub values: Vec<f32>,
}

impl Mean {
    /// Reads the file.
    pub fn read(_path: &Path) -> Result<Mean, ArtifactError> {
        todo!()
    }

    /// Writes the file.
    pub fn write(&self, _path: &Path) -> Result<(), ArtifactError> {
        todo!()
    }
}
