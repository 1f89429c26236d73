//! Which part of an image becomes a network input, and what is done to it.

use crate::stage::{Augment, InputRule, StageError, TrainView};
use crate::view::{Draws, ImageSource, Purpose, Warp};

/// One network input: a part of an image, perhaps warped and mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The image's row in the file.
    pub image: usize,
    pub view: View,
    pub warp: Option<Warp>,
    /// Left and right are exchanged, after the warp.
    pub mirrored: bool,
}

/// A part of an image that becomes a network input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All of it, resized.
    Whole,
    /// A square of the network's size.
    Crop { top: usize, left: usize },
}

/// How training images are varied: the same for the same seed, epoch and image.
#[derive(Debug, Clone, Copy)]
pub struct TrainingViews<'a> {
    pub input: &'a InputRule,
    pub augment: &'a Augment,
    pub seed: u64,
}

impl TrainingViews<'_> {
    /// What the network sees of an image in an epoch, counted from 1; an error if the images are too small for it.
    pub fn sample(&self, source: &ImageSource, epoch: u32, image: usize) -> Result<Sample, StageError> {
        let room = match self.input.train {
            TrainView::RandomCrop => Some(source.room()?),
            TrainView::Resize => source.whole().map(|_| None)?,
        };
        let mut draws = Draws::new(self.seed, Purpose::View, [epoch.into(), image as u64]);
        let view = room.map_or(View::Whole, |(down, right)| View::Crop { top: draws.below(down + 1), left: draws.below(right + 1) });
        let warp = Warp::draw(self.augment, &mut draws);
        Ok(Sample { image, view, warp, mirrored: self.augment.horizontal_flip && draws.coin() })
    }
}

/// An image's crops: top left, top right, bottom right, bottom left, centre; with `count` 10 the mirrored ones follow in the same
/// order. An error if the images are not larger than the network's input.
pub fn crops(source: &ImageSource, count: u32) -> Result<Vec<(View, bool)>, StageError> {
    let (down, right) = source.room()?;
    if (down, right) == (0, 0) {
        let (height, width) = source.images().size();
        return Err(source.error(format!(
            "the images are {width}×{height} pixels, as the network's input is, so that all crops are the same; pack them larger"
        )));
    }
    let places = [(0, 0), (0, right), (down, right), (down, 0), (down / 2, right / 2)];
    let views = places.into_iter().map(|(top, left)| View::Crop { top, left });
    let both = views.clone().map(|view| (view, false)).chain(views.map(|view| (view, true)));
    Ok(both.take(count as usize).collect())
}
