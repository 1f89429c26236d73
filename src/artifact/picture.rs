//! Pictures as people have them, decoded to upright RGB.
//!
//! Knows nothing of where the bytes come from.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits, RgbImage};
use thiserror::Error;

use crate::artifact::jpeg;

/// An upright RGB image in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[H,W,3] u8`.
    pub pixels: Vec<u8>,
}

/// Why bytes did not become a picture.
#[derive(Debug, Error)]
pub enum PictureError {
    #[error("the file is empty")]
    Empty,
    #[error("not an image: its first bytes are those of no JPEG, PNG, WebP, BMP or GIF")]
    NotAnImage,
    #[error("truncated JPEG: no end of image follows its pixels")]
    Truncated,
    /// More pixels than any photograph has: a decompression bomb, or a damaged header.
    #[error("too large: {width}×{height} pixels; at most {MAX_PIXELS} are decoded")]
    TooLarge { width: u32, height: u32 },
    #[error("damaged {format}: {source}")]
    Damaged { format: &'static str, source: image::ImageError },
    #[error("cannot be encoded: {0}")]
    Encode(image::ImageError),
}

/// Pillow's limit for decompression bombs.
const MAX_PIXELS: u64 = 178_956_970;

/// What a decoder may allocate besides: enough for 16-bit RGBA at the limit.
const MAX_ALLOCATION: u64 = MAX_PIXELS * 8;

impl Picture {
    /// Decodes the bytes of an image file. Its type is taken from the bytes, EXIF orientation is applied, an alpha channel
    /// is dropped (as Pillow's `convert("RGB")` and OpenCV do, not composited), of an animation the first frame is taken.
    pub fn decode(bytes: &[u8]) -> Result<Picture, PictureError> {
        Picture::decode_unless(bytes, |_| None)
    }

    /// Like [`Picture::decode`], but a JPEG may become smaller than it is, with no side shorter than `least`.
    pub(super) fn decode_smaller(bytes: &[u8], least: usize) -> Result<Picture, PictureError> {
        Picture::decode_unless(bytes, |format| (format == ImageFormat::Jpeg).then(|| jpeg::decode_smaller(bytes, least)).flatten())
    }

    /// Decodes every pixel, unless another decoder gives the picture.
    fn decode_unless(bytes: &[u8], other: impl FnOnce(ImageFormat) -> Option<RgbImage>) -> Result<Picture, PictureError> {
        let (format, name) = format_of(bytes)?;
        let (orientation, mut image) = decode_as(bytes, format, other).map_err(|error| match error {
            DecodeError::TooLarge(width, height) => PictureError::TooLarge { width, height },
            DecodeError::Image(source) => PictureError::Damaged { format: name, source },
        })?;
        image.apply_orientation(orientation);
        let image = image.into_rgb8();
        Ok(Picture { width: image.width() as usize, height: image.height() as usize, pixels: image.into_raw() })
    }

    /// Width and height of an image file's upright picture, from its header: no pixel is decoded, so that damage behind the header
    /// goes unnoticed.
    pub fn dimensions(bytes: &[u8]) -> Result<(u32, u32), PictureError> {
        let (format, name) = format_of(bytes)?;
        let damaged = |source| PictureError::Damaged { format: name, source };
        let mut decoder = ImageReader::with_format(Cursor::new(bytes), format).into_decoder().map_err(damaged)?;
        let (width, height) = decoder.dimensions();
        let swaps = |orientation| {
            use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
            matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
        };
        Ok(if decoder.orientation().is_ok_and(swaps) { (height, width) } else { (width, height) })
    }

    /// Encodes as baseline JPEG of the given quality (1–100).
    pub fn encode_jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality)
            .encode(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(PictureError::Encode)?;
        Ok(bytes)
    }

    /// Encodes as PNG, which loses nothing.
    pub fn encode_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(PictureError::Encode)?;
        Ok(bytes)
    }

    /// One row of pixels: `[W,3] u8`.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.pixels[y * self.width * 3..(y + 1) * self.width * 3]
    }
}

enum DecodeError {
    TooLarge(u32, u32),
    Image(image::ImageError),
}

impl From<image::ImageError> for DecodeError {
    fn from(error: image::ImageError) -> DecodeError {
        DecodeError::Image(error)
    }
}

fn decode_as(
    bytes: &[u8],
    format: ImageFormat,
    other: impl FnOnce(ImageFormat) -> Option<RgbImage>,
) -> Result<(Orientation, DynamicImage), DecodeError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DecodeError::TooLarge(width, height));
    }
    // Metadata that cannot be read says nothing about the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = other(format).map_or_else(|| DynamicImage::from_decoder(decoder), |image| Ok(image.into()))?;
    Ok((orientation, image))
}

/// The format that the first bytes tell, and its name; an error for what cannot become a picture.
fn format_of(bytes: &[u8]) -> Result<(ImageFormat, &'static str), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = image::guess_format(bytes).map_err(|_| PictureError::NotAnImage)?;
    let name = format_name(format).ok_or(PictureError::NotAnImage)?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(PictureError::Truncated);
    }
    Ok((format, name))
}

fn format_name(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Jpeg => Some("JPEG"),
        ImageFormat::Png => Some("PNG"),
        ImageFormat::WebP => Some("WebP"),
        ImageFormat::Bmp => Some("BMP"),
        ImageFormat::Gif => Some("GIF"),
        _ => None,
    }
}

/// Whether an end-of-image marker follows the pixel data. The decoder fills what is missing with grey and says nothing.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    const START_OF_SCAN: u8 = 0xDA;
    let mut scanned = false;
    let mut rest = bytes;
    let is_inner = |marker: &u8| matches!(marker, 0x00 | 0xFF | 0xD0..=0xD8);
    while let Some((at, marker)) = memchr::memchr_iter(0xFF, rest).find_map(|at| Some((at, *rest.get(at + 1).filter(|it| !is_inner(it))?)))
    {
        if marker == END_OF_IMAGE {
            return scanned;
        }
        scanned |= marker == START_OF_SCAN;
        let Some(length) = rest.get(at + 2..at + 4) else { return false };
        let segment = 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
        rest = rest.get(at + segment..).unwrap_or_default();
    }
    false
}
