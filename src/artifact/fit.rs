//! How an image file of any shape becomes a square, and the rule by which a set of images was packed.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{Picture, PictureError, resize_area, resize_to_fill};

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

/// How much of an image file is decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decode {
    /// Every pixel.
    #[default]
    Full,
    /// Of a large JPEG an eighth or a quarter of its width and height, the smallest with no side shorter than the size. Several times as
    /// fast, for photographs of cameras. Pixels differ by 1 to 4 of 255 on average, most where what is decoded is hardly larger than the size.
    Scaled,
}

/// What was done to pictures when they were packed. The same has to be done to a picture that a model is to be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PackRule {
    /// Side in pixels.
    pub size: u32,
    pub fit: Fit,
    #[serde(default, skip_serializing_if = "Decode::is_full")]
    pub decode: Decode,
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

impl Decode {
    /// The name in a manifest and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Decode::Full => "full",
            Decode::Scaled => "scaled",
        }
    }

    /// What is left unsaid in files and keys: it was so before there was a choice.
    pub(crate) fn is_full(&self) -> bool {
        *self == Decode::Full
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
    /// Decodes the bytes of an image file, as far as the square needs.
    pub fn decode(self, bytes: &[u8]) -> Result<Picture, PictureError> {
        match self.decode {
            Decode::Full => Picture::decode(bytes),
            Decode::Scaled => Picture::decode_smaller(bytes, self.size as usize),
        }
    }

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
