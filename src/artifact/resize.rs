//! Resizing as OpenCV's INTER_AREA does it.

use crate::artifact::Picture;

/// Resizes to `width` × `height`: every output pixel is the mean of the area that it covers when shrinking.
pub fn resize_area(_picture: &Picture, _width: usize, _height: usize) -> Picture {
    todo!()
}

/// The shorter side is scaled to `size`, the longer one cut equally at both ends.
pub fn resize_to_fill(_picture: &Picture, _size: usize) -> Picture {
    todo!()
}
