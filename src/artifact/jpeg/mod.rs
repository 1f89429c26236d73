//! Photographs at a quarter or an eighth of their size, from the lowest frequencies of their blocks.
//!
//! A JPEG keeps blocks of 8×8 pixels as strengths of 8×8 frequencies (ITU-T T.81). The mean of a tile of a block hardly depends on
//! any but the lowest, so the others are passed over without being decoded, and only one number a tile is computed. Reads what cameras
//! and the web write: baseline, grey or YCbCr, all in one scan. Anything else, damage too, is left to a decoder that reads everything.
//!
//! Knows nothing of metadata.

mod bits;
mod frame;
mod huffman;
#[cfg(test)]
mod tests;
mod tiles;

use frame::Frame;
use image::RgbImage;

/// Pixels of a block's side.
const BLOCK: usize = 8;

/// Decodes a JPEG to an eighth or a quarter of its width and height, the smallest with no side shorter than `least`: every pixel is about the
/// mean of those that it stands for. `None` if it is too small for that, or not for this decoder.
pub(super) fn decode_smaller(bytes: &[u8], least: usize) -> Option<RgbImage> {
    let frame = Frame::read(bytes)?;
    let shorter = frame.width.min(frame.height);
    let tiles = [1, 2].into_iter().find(|tiles| shorter * tiles / BLOCK >= least)?;
    tiles::decode(&frame, tiles)
}
