//! Images as a network sees them: a crop or the whole, warped, mirrored, normalised.
//!
//! Knows nothing of networks, labels or tensors.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::artifact::{ImagesFile, Mean, MeanImage, Picture, resize_area};
use crate::stage::{EvalView, Normalize, StageError};
use crate::view::{Sample, View, Workbench};

/// An images file, read as a network with a square input of a given size wants it.
#[derive(Debug)]
pub struct ImageSource {
    path: PathBuf,
    images: ImagesFile,
    /// Side of the network's input.
    size: usize,
    normalization: Normalization,
    line: NormalizedLine,
}

/// What happens to every number of a line, so that no loop need know of channels.
#[derive(Debug)]
struct NormalizedLine {
    /// Empty where every pixel has an offset of its own.
    offsets: Vec<f32>,
    factors: Vec<f32>,
}

/// What a sample shows: a square of an image that is `width` pixels wide.
struct Square<'a> {
    pixels: Cow<'a, [u8]>,
    width: usize,
    /// Top and left.
    corner: (usize, usize),
}

/// What happens to every pixel: `(pixel - offset) * factor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    offset: Offset,
    /// R, G, B.
    factor: [f32; 3],
}

/// What is subtracted from every pixel.
#[derive(Debug, Clone, PartialEq)]
pub enum Offset {
    /// R, G, B.
    Channel([f32; 3]),
    /// Of the size of the packed images; the part that lies under a crop is subtracted from it.
    Pixel(MeanImage),
}

impl ImageSource {
    /// Opens the file; an error if `normalization` is for images of another size.
    pub fn open(path: &Path, size: u32, normalization: Normalization) -> Result<ImageSource, StageError> {
        let images = ImagesFile::open(path)?;
        let line = normalization.line(size as usize);
        let source = ImageSource { path: path.to_owned(), images, size: size as usize, normalization, line };
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

    /// What happens to its pixels.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Side of the network's input.
    pub fn side(&self) -> usize {
        self.size
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

    /// Writes the inputs `[n,size,size,3]` of many samples, in as many threads as rayon has.
    pub fn fill_all(&self, inputs: &mut [f32], samples: &[Sample]) {
        let inputs = inputs.par_chunks_exact_mut(self.size * self.size * 3);
        inputs.zip(samples).for_each_init(Workbench::default, |bench, (input, sample)| self.fill(input, *sample, bench));
    }

    /// Writes the input `[size,size,3]` of one sample.
    pub fn fill(&self, input: &mut [f32], sample: Sample, bench: &mut Workbench) {
        match sample.warp {
            None => self.fill_view(input, sample),
            Some(warp) => {
                self.fill_view(bench.straight(self.size), sample);
                warp.apply(bench, input, self.size);
            }
        }
        if sample.mirrored {
            input.chunks_exact_mut(self.size * 3).for_each(|line| line.as_chunks_mut::<3>().0.reverse());
        }
    }

    /// Writes what a sample shows of its image as bytes `[size,size,3]`, not normalised, warped or mirrored.
    pub fn fill_bytes(&self, bytes: &mut [u8], sample: Sample) {
        let square = self.square(sample);
        bytes
            .chunks_exact_mut(self.size * 3)
            .enumerate()
            .for_each(|(y, line)| line.copy_from_slice(&square.pixels[square.line(y, self.size)]));
    }

    /// Writes what a sample shows of its image, not yet warped or mirrored.
    fn fill_view(&self, input: &mut [f32], sample: Sample) {
        let square = self.square(sample);
        for (y, line) in input.chunks_exact_mut(self.size * 3).enumerate() {
            let range = square.line(y, self.size);
            let offsets = match &self.normalization.offset {
                Offset::Channel(_) => &self.line.offsets,
                Offset::Pixel(mean) => &mean.values[range.clone()],
            };
            normalize(line, &square.pixels[range], offsets, &self.line.factors);
        }
    }

    fn square(&self, sample: Sample) -> Square<'_> {
        let (height, width) = self.images.size();
        let pixels = self.images.row(sample.image);
        match sample.view {
            View::Crop { top, left } => Square { pixels: Cow::Borrowed(pixels), width, corner: (top, left) },
            View::Whole if (height, width) == (self.size, self.size) => Square { pixels: Cow::Borrowed(pixels), width, corner: (0, 0) },
            View::Whole => {
                let whole = Picture { width, height, pixels: pixels.to_vec() };
                let resized = resize_area(&whole, self.size, self.size).pixels;
                Square { pixels: Cow::Owned(resized), width: self.size, corner: (0, 0) }
            }
        }
    }
}

impl Square<'_> {
    /// Where the numbers of its `y`-th line lie, `size` pixels of them.
    fn line(&self, y: usize, size: usize) -> Range<usize> {
        let (top, left) = self.corner;
        let start = ((top + y) * self.width + left) * 3;
        start..start + size * 3
    }
}

fn normalize(line: &mut [f32], bytes: &[u8], offsets: &[f32], factors: &[f32]) {
    for (out, (byte, (offset, factor))) in line.iter_mut().zip(bytes.iter().zip(offsets.iter().zip(factors))) {
        *out = (f32::from(*byte) - offset) * factor;
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

    /// What is subtracted.
    pub fn offset(&self) -> &Offset {
        &self.offset
    }

    /// By what the rest is multiplied: R, G, B.
    pub fn factor(&self) -> &[f32; 3] {
        &self.factor
    }

    fn line(&self, size: usize) -> NormalizedLine {
        let repeated = |channels: &[f32; 3]| channels.iter().copied().cycle().take(size * 3).collect();
        let offsets = match &self.offset {
            Offset::Channel(channels) => repeated(channels),
            Offset::Pixel(_) => Vec::new(),
        };
        NormalizedLine { offsets, factors: repeated(&self.factor) }
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
