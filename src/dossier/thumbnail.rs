//! Small encoded pictures.

use crate::artifact::{Picture, PictureError, resize_area};

/// A picture that fits into a page.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    pub width: usize,
    pub height: usize,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Longest side in pixels.
const MOST: usize = 112;
/// Up to this side a picture is kept without loss: JPEG would smear what little there is.
const LOSSLESS: usize = 40;
const QUALITY: u8 = 82;

impl Thumbnail {
    /// A picture made as small as a thumbnail is; smaller ones keep their size.
    pub fn of(picture: Picture) -> Result<Thumbnail, PictureError> {
        let longest = picture.width.max(picture.height);
        let scaled = |side: usize| (side * MOST / longest).max(1);
        let small = if longest > MOST { resize_area(&picture, scaled(picture.width), scaled(picture.height)) } else { picture };
        let (media_type, bytes) =
            if longest <= LOSSLESS { ("image/png", small.encode_png()?) } else { ("image/jpeg", small.encode_jpeg(QUALITY)?) };
        Ok(Thumbnail { width: small.width, height: small.height, media_type, bytes })
    }
}
