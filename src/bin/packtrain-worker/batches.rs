//! Packed images as batches of network inputs, prepared by threads of their own while the network works on the batch before.
//!
//! Knows nothing of networks and labels.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use packtrain::artifact::{ImagesFile, Mean, MeanImage, Picture, resize_area};
use packtrain::stage::{EvalView, Normalize, StageError};
use rayon::prelude::*;
use tch::Tensor;

use crate::augment::Warp;

/// An images file, read as a network with a square input of a given size wants it.
#[derive(Debug)]
pub struct ImageSource {
    path: PathBuf,
    images: ImagesFile,
    /// Side of the network's input.
    size: usize,
    normalization: Normalization,
}

/// What happens to every pixel: `(pixel - offset) * factor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    offset: Offset,
    /// R, G, B.
    factor: [f32; 3],
}

#[derive(Debug, Clone, PartialEq)]
enum Offset {
    /// R, G, B.
    Channel([f32; 3]),
    /// Of the size of the packed images; the part that lies under a crop is subtracted from it.
    Pixel(MeanImage),
}

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

/// Batches that are ready while the network works.
const AHEAD: usize = 1;

impl ImageSource {
    /// Opens the file; an error if `normalization` is for images of another size.
    pub fn open(path: &Path, size: u32, normalization: Normalization) -> Result<ImageSource, StageError> {
        let images = ImagesFile::open(path)?;
        let source = ImageSource { path: path.to_owned(), images, size: size as usize, normalization };
        let (height, width) = source.images.size();
        match &source.normalization.offset {
            Offset::Pixel(mean) if (mean.height, mean.width) != (height, width) => {
                Err(source.error(format!("the images are {width}×{height} pixels, their mean is {}×{}", mean.width, mean.height)))
            }
            Offset::Pixel(_) | Offset::Channel(_) if source.images.is_empty() => Err(source.error("there are no images".to_owned())),
            Offset::Pixel(_) | Offset::Channel(_) => Ok(source),
        }
    }

    /// The images.
    pub fn images(&self) -> &ImagesFile {
        &self.images
    }

    /// An error about this file.
    pub fn error(&self, reason: String) -> StageError {
        StageError::Input { path: self.path.clone(), reason }
    }

    /// What the network sees of every image when it is evaluated.
    pub fn eval_view(&self, view: EvalView) -> Result<View, StageError> {
        match view {
            EvalView::Resize => self.whole(),
            EvalView::CenterCrop => {
                let (down, right) = self.room()?;
                Ok(View::Crop { top: down / 2, left: right / 2 })
            }
        }
    }

    /// All of an image; an error if it must be resized but has a mean for every pixel.
    pub fn whole(&self) -> Result<View, StageError> {
        let (height, width) = self.images.size();
        let resized = (height, width) != (self.size, self.size);
        if resized && matches!(self.normalization.offset, Offset::Pixel(_)) {
            let size = self.size;
            return Err(self.error(format!(
                "the images are {width}×{height} pixels and would be resized to {size}×{size}, which a mean for every pixel does not \
                 allow; use crops, pack the images at {size} pixels, or use a mean for every channel"
            )));
        }
        Ok(View::Whole)
    }

    /// How many pixels a crop can be moved down and right; an error if the images are smaller than the network's input.
    pub fn room(&self) -> Result<(usize, usize), StageError> {
        let (height, width) = self.images.size();
        let size = self.size;
        match (height.checked_sub(size), width.checked_sub(size)) {
            (Some(down), Some(right)) => Ok((down, right)),
            _ => Err(self.error(format!(
                "the images are {width}×{height} pixels, too small for crops of {size}×{size}; pack them larger, or make the input smaller"
            ))),
        }
    }

    /// One sample of every image, in order, `batch` at a time.
    pub fn in_order(&self, view: View, batch: u32) -> Vec<Vec<Sample>> {
        let samples: Vec<_> = (0..self.images.len()).map(|image| Sample { image, view, warp: None, mirrored: false }).collect();
        samples.chunks(batch.max(1) as usize).map(<[Sample]>::to_vec).collect()
    }

    /// One sample of each of some images, in this order, in batches of exactly `batch`: the last image is repeated as often as the
    /// last batch needs.
    pub fn full_batches(&self, view: View, images: &[usize], batch: u32) -> Vec<Vec<Sample>> {
        let batch = batch.max(1) as usize;
        let sample = |image: usize| Sample { image, view, warp: None, mirrored: false };
        let filled = images.iter().chain(images.last().into_iter().cycle()).take(images.len().next_multiple_of(batch));
        let samples: Vec<_> = filled.map(|image| sample(*image)).collect();
        samples.chunks(batch).map(<[Sample]>::to_vec).collect()
    }

    /// Calls `work` with every list of samples and their inputs `[n,3,size,size]` on the CPU, channels-last.
    pub fn for_each(
        &self,
        plan: &[Vec<Sample>],
        mut work: impl FnMut(&[Sample], Tensor) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(AHEAD);
            let producer = scope.spawn(move || {
                for samples in plan {
                    if sender.send(self.inputs(samples)).is_err() {
                        return; // `work` failed and the receiver is gone
                    }
                }
            });
            let result = plan.iter().zip(receiver).try_for_each(|(samples, inputs)| work(samples, inputs));
            producer.join().unwrap_or_else(|panic| resume_unwind(panic));
            result
        })
    }

    fn inputs(&self, samples: &[Sample]) -> Tensor {
        let mut pixels = vec![0.0_f32; samples.len() * self.size * self.size * 3];
        let parts = pixels.par_chunks_exact_mut(self.size * self.size * 3);
        parts.zip(samples).for_each(|(input, sample)| self.fill(input, *sample));
        let (count, size) = (samples.len() as i64, self.size as i64);
        Tensor::from_slice(&pixels).view([count, size, size, 3]).permute([0, 3, 1, 2])
    }

    /// Writes the input `[size,size,3]` of one sample.
    fn fill(&self, input: &mut [f32], sample: Sample) {
        match sample.warp {
            None => self.fill_view(input, sample),
            Some(warp) => {
                let mut straight = vec![0.0; input.len()];
                self.fill_view(&mut straight, sample);
                warp.apply(&straight, input, self.size);
            }
        }
        if sample.mirrored {
            input.chunks_exact_mut(self.size * 3).for_each(|line| line.as_chunks_mut::<3>().0.reverse());
        }
    }

    /// Writes what a sample shows of its image, not yet warped or mirrored.
    fn fill_view(&self, input: &mut [f32], sample: Sample) {
        let (height, width) = self.images.size();
        let pixels = self.images.row(sample.image);
        match sample.view {
            View::Crop { top, left } => self.fill_from(input, pixels, width, (top, left)),
            View::Whole if (height, width) == (self.size, self.size) => self.fill_from(input, pixels, width, (0, 0)),
            View::Whole => {
                let whole = Picture { width, height, pixels: pixels.to_vec() };
                self.fill_from(input, &resize_area(&whole, self.size, self.size).pixels, self.size, (0, 0));
            }
        }
    }

    /// Writes the square at (`top`, `left`) of an image that is `width` pixels wide.
    fn fill_from(&self, input: &mut [f32], pixels: &[u8], width: usize, (top, left): (usize, usize)) {
        let factor = self.normalization.factor;
        for (y, line) in input.chunks_exact_mut(self.size * 3).enumerate() {
            let start = ((top + y) * width + left) * 3;
            let range = start..start + self.size * 3;
            let (line, pixels) = (line.as_chunks_mut::<3>().0, pixels[range.clone()].as_chunks::<3>().0);
            let pairs = line.iter_mut().zip(pixels);
            match &self.normalization.offset {
                Offset::Channel(offset) => pairs.for_each(|(input, pixel)| *input = normalized(pixel, offset, &factor)),
                Offset::Pixel(mean) => pairs
                    .zip(mean.values[range].as_chunks::<3>().0)
                    .for_each(|((input, pixel), offset)| *input = normalized(pixel, offset, &factor)),
            }
        }
    }
}

impl Normalization {
    /// torchvision's: in units of 1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
    pub fn torchvision() -> Normalization {
        Normalization::standard(1.0 / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    }

    /// `(pixel * scale - mean) / std`.
    pub fn standard(scale: f64, mean: [f64; 3], std: [f64; 3]) -> Normalization {
        Normalization { offset: Offset::Channel(mean.map(|mean| (mean / scale) as f32)), factor: std.map(|std| (scale / std) as f32) }
    }

    /// `(pixel - mean) * scale`, as networks are trained with.
    pub fn of_training(mean: Option<&Mean>, scale: f64) -> Normalization {
        let channels = mean.map_or([0.0; 3], |mean| [mean.r as f32, mean.g as f32, mean.b as f32]);
        let image = mean.and_then(|mean| mean.pixels.clone());
        Normalization { offset: image.map_or(Offset::Channel(channels), Offset::Pixel), factor: [scale as f32; 3] }
    }

    /// What a stage asks for; `None` for `auto`, which the weights decide.
    pub fn requested(normalize: &Normalize) -> Option<Normalization> {
        match normalize {
            Normalize::Auto => None,
            Normalize::Torchvision => Some(Normalization::torchvision()),
            Normalize::Custom { scale, mean, std } => Some(Normalization::standard(*scale, *mean, *std)),
        }
    }
}

fn normalized(pixel: &[u8; 3], offset: &[f32; 3], factor: &[f32; 3]) -> [f32; 3] {
    std::array::from_fn(|channel| (f32::from(pixel[channel]) - offset[channel]) * factor[channel])
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::fixture;
    use crate::inference::numbers;

    /// Two images of 4×4 pixels; red is 10·row + column, green 100 more, blue the image's number.
    fn source(size: u32, normalization: Normalization) -> Result<ImageSource, StageError> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("images.h5");
        let pixel = |image: u8, place: u8| [10 * (place / 4) + place % 4, 100 + 10 * (place / 4) + place % 4, image];
        let pixels: Vec<u8> = (0..2).flat_map(|image| (0..16).flat_map(move |place| pixel(image, place))).collect();
        fixture::write(&path, 4, &pixels);
        ImageSource::open(&path, size, normalization)
    }

    fn plain() -> Normalization {
        Normalization::of_training(None, 1.0)
    }

    /// Channel `channel` of the only input of a sample.
    fn channel(source: &ImageSource, sample: Sample, channel: i64) -> Vec<f32> {
        let mut inputs = Vec::new();
        let plan = [vec![sample]];
        let work = |_: &[Sample], tensor: Tensor| {
            inputs = numbers(&tensor.select(1, channel));
            Ok(())
        };
        source.for_each(&plan, work).unwrap();
        inputs
    }

    fn crop(image: usize, top: usize, left: usize, mirrored: bool) -> Sample {
        Sample { image, view: View::Crop { top, left }, warp: None, mirrored }
    }

    #[test]
    fn crops_are_cut_where_asked_and_mirrored_left_to_right() {
        let source = source(2, plain()).unwrap();
        assert_eq!(channel(&source, crop(0, 1, 2, false), 0), [12.0, 13.0, 22.0, 23.0]);
        assert_eq!(channel(&source, crop(0, 1, 2, true), 0), [13.0, 12.0, 23.0, 22.0]);
        assert_eq!(channel(&source, crop(1, 2, 0, true), 1), [121.0, 120.0, 131.0, 130.0]);
        assert_eq!(channel(&source, crop(1, 2, 0, true), 2), [1.0; 4]);
    }

    #[test]
    fn whole_images_are_resized_by_area_and_the_centre_is_exact() {
        let source = source(2, plain()).unwrap();
        let view = source.eval_view(EvalView::Resize).unwrap();
        // Means of 2×2 blocks, 5.5 and so on, rounded to even as OpenCV does.
        let whole = channel(&source, Sample { image: 0, view, warp: None, mirrored: false }, 0);
        assert!(whole.iter().zip([5.5, 7.5, 25.5, 27.5]).all(|(found, mean)| (found - mean).abs() <= 0.5), "{whole:?}");
        assert_eq!(source.eval_view(EvalView::CenterCrop).unwrap(), View::Crop { top: 1, left: 1 });
    }

    #[test]
    fn an_odd_margin_is_cut_less_at_the_top_left() {
        assert_eq!(source(3, plain()).unwrap().eval_view(EvalView::CenterCrop).unwrap(), View::Crop { top: 0, left: 0 });
    }

    #[test]
    fn means_are_subtracted_before_scaling_and_a_mean_image_moves_with_the_crop() {
        let mean = Mean { r: 2.0, g: 100.0, b: 0.0, std: None, images: None, pixels: None };
        let by_channel = source(2, Normalization::of_training(Some(&mean), 0.5)).unwrap();
        assert_eq!(channel(&by_channel, crop(0, 0, 0, false), 0), [-1.0, -0.5, 4.0, 4.5]);
        assert_eq!(channel(&by_channel, crop(0, 0, 0, false), 1), [0.0, 0.5, 5.0, 5.5]);

        let values = (0..16).flat_map(|place| [(place * place) as f32, 0.0, 0.0]).collect();
        let mean = Mean { pixels: Some(MeanImage { height: 4, width: 4, values }), ..mean };
        let by_pixel = source(2, Normalization::of_training(Some(&mean), 1.0)).unwrap();
        assert_eq!(channel(&by_pixel, crop(0, 1, 2, true), 0), [13.0 - 49.0, 12.0 - 36.0, 23.0 - 121.0, 22.0 - 100.0]);
        assert!(by_pixel.eval_view(EvalView::Resize).unwrap_err().to_string().contains("a mean for every pixel does not allow"));
    }

    #[test]
    fn torchvisions_normalisation_is_its_formula() {
        let source = source(4, Normalization::torchvision()).unwrap();
        let input = channel(&source, Sample { image: 0, view: View::Whole, warp: None, mirrored: false }, 1);
        assert!((f64::from(input[5]) - (111.0 / 255.0 - 0.456) / 0.224).abs() < 1e-6);
    }

    #[test]
    fn a_mean_of_another_size_is_an_error() {
        let pixels = Some(MeanImage { height: 2, width: 2, values: vec![0.0; 12] });
        let mean = Mean { r: 0.0, g: 0.0, b: 0.0, std: None, images: None, pixels };
        let error = source(2, Normalization::of_training(Some(&mean), 1.0)).unwrap_err().to_string();
        assert!(error.ends_with("the images are 4×4 pixels, their mean is 2×2"), "{error}");
    }

    #[test]
    fn an_error_in_the_middle_ends_the_preparation() {
        let source = source(2, plain()).unwrap();
        let plan = vec![vec![crop(0, 0, 0, false)]; 50];
        let mut calls = 0;
        let result = source.for_each(&plan, |_, _| {
            calls += 1;
            if calls == 3 { Err(StageError::Interrupted) } else { Ok(()) }
        });
        assert!(matches!(result, Err(StageError::Interrupted)));
        assert_eq!(calls, 3);
    }
}
