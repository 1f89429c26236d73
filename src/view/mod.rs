//! What a network sees of an image: crops, warps and normalisation, drawn by counters, so that it can be told again at any time.
//!
//! Pure: the same file, seed, epoch and image give the same pixels, in the worker that trains and in a report about it. Knows
//! nothing of tensors.

mod random;
mod sample;
mod source;
mod warp;

pub use random::{Draws, Purpose};
pub use sample::{Sample, TrainingViews, View, crops};
pub use source::{ImageSource, Normalization, Offset};
pub use warp::{Affine, Warp, Workbench};
