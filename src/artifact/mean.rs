//! `Mean`: what is subtracted from every image, as JSON.

use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactError;

/// The mean of a set of images, in 0–255 units, by channel; with `per: pixel` for every pixel too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mean {
    /// Mean of red.
    #[serde(rename = "R")]
    #[schemars(range(min = 0.0, max = 255.0), extend("examples" = [124.96]))]
    pub r: f64,
    /// Mean of green.
    #[serde(rename = "G")]
    #[schemars(range(min = 0.0, max = 255.0), extend("examples" = [124.96]))]
    pub g: f64,
    /// Mean of blue.
    #[serde(rename = "B")]
    #[schemars(range(min = 0.0, max = 255.0), extend("examples" = [124.96]))]
    pub b: f64,
    /// Standard deviation of R, G, B; files made elsewhere may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<[f64; 3]>,
    /// Images that it was taken over; files made elsewhere may lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// The mean image, with `per: pixel`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<MeanImage>,
}

/// A mean for every pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeanImage {
    pub height: usize,
    pub width: usize,
    /// `[H*W*3]` RGB.
    pub values: Vec<f32>,
}

impl Mean {
    /// Reads the file. A plain `{"R": …, "G": …, "B": …}` will do.
    pub fn read(path: &Path) -> Result<Mean, ArtifactError> {
        let text = fs::read_to_string(path).map_err(|source| ArtifactError::io(path, source))?;
        let mean: Mean = serde_json::from_str(&text).map_err(|error| ArtifactError::invalid(path, format!("not a mean: {error}")))?;
        mean.check().map_err(|reason| ArtifactError::invalid(path, reason))?;
        Ok(mean)
    }

    /// Writes the file; the same mean gives the same bytes.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| ArtifactError::invalid(path, error.to_string()))?;
        text.push('\n');
        fs::write(path, text).map_err(|source| ArtifactError::io(path, source))
    }

    fn check(&self) -> Result<(), String> {
        match &self.pixels {
            Some(image) if image.values.len() != image.height * image.width * 3 => {
                Err(format!("the mean image should be {}×{}×3 numbers; it is {}", image.height, image.width, image.values.len()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mean.json");
        let pixels = MeanImage { height: 1, width: 2, values: vec![0.1, 2.0, 3.3333333, 4.0, 5.0, 6.0] };
        let mean = Mean { r: 124.1, g: 1.0 / 3.0, b: 0.0, std: Some([1.0, 2.0, 3.0]), images: Some(7), pixels: Some(pixels) };
        mean.write(&path).unwrap();
        assert_eq!(Mean::read(&path).unwrap(), mean);
    }

    #[test]
    fn the_file_of_the_book_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mean.json");
        fs::write(&path, r#"{"R": 124.96, "G": 115.97, "B": 106.13}"#).unwrap();
        let mean = Mean { r: 124.96, g: 115.97, b: 106.13, std: None, images: None, pixels: None };
        assert_eq!(Mean::read(&path).unwrap(), mean);
        fs::write(&path, r#"{"R": 124.96, "G": 115.97}"#).unwrap();
        assert!(Mean::read(&path).unwrap_err().to_string().contains("mean.json: not a mean: missing field `B`"));
    }
}
