//! How a picture of any shape becomes a square, and the rule by which a set of images was packed.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{Picture, resize_area, resize_to_fill};

/// How an image of any shape becomes a square.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The shorter side is scaled to the size, the longer one cut equally at both ends.
    #[default]
    Crop,
    /// Both sides are scaled to the size, whatever the proportions.
    Stretch,
}

/// What was done to pictures when they were packed. The same has to be done to a picture that a model is to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackRule {
    /// Side in pixels.
    pub size: u32,
    pub fit: Fit,
}

impl Fit {
    const ALL: [Fit; 2] = [Fit::Crop, Fit::Stretch];

    /// The name in a manifest and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Fit::Crop => "crop",
            Fit::Stretch => "stretch",
        }
    }
}

impl FromStr for Fit {
    type Err = String;

    fn from_str(name: &str) -> Result<Fit, String> {
        let named = Fit::ALL.into_iter().find(|fit| fit.as_str() == name);
        named.ok_or_else(|| format!("`{name}` is neither `crop` nor `stretch`"))
    }
}

impl PackRule {
    /// The square that becomes of a picture: `[size,size,3] u8`.
    pub fn apply(self, picture: &Picture) -> Vec<u8> {
        let size = self.size as usize;
        match self.fit {
            Fit::Crop => resize_to_fill(picture, size).pixels,
            Fit::Stretch => resize_area(picture, size, size).pixels,
        }
    }

    /// Bytes of a packed image.
    pub fn row_bytes(self) -> usize {
        let size = self.size as usize;
        size * size * 3
    }
}
