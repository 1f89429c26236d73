//! Network inputs made on a card: packed images lie in its memory, where they fit, and are cut, normalised, warped and mirrored there.
//!
//! What happens to an image is decided where it always is, in `packtrain::view`: the same samples give the inputs that the CPU makes of
//! them, but for rounding. Images that do not fit come over as bytes, a quarter of what inputs are.

use std::cell::OnceCell;

use packtrain::view::{Affine, ImageSource, Normalization, Offset, Sample, View};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::device::bring;
use crate::weights::channels_last;

/// What a card knows of an images file.
#[derive(Debug)]
pub struct Card {
    device: Device,
    /// How many bytes of images may stay on it.
    room: u64,
    /// `[N,H,W,3] u8`.
    packed: OnceCell<Tensor>,
    /// The same images at the size of the network's input.
    resized: OnceCell<Tensor>,
    /// What is subtracted: `[3]`, or of every pixel of a packed image `[H,W,3]`.
    offset: Tensor,
    /// `[3]`.
    factor: Tensor,
}

/// What samples show, as indices on the card.
struct Places {
    /// `[n]`: their images.
    rows: Tensor,
    /// `[n,size]`.
    lines: Tensor,
    /// `[n,size]`.
    columns: Tensor,
}

/// The images that samples are cut from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CutFrom {
    Packed,
    Resized,
}

/// grid_sampler's numbers of what is done here.
const BILINEAR: i64 = 0;
const NEAREST_AT_THE_EDGE: i64 = 1;

impl Card {
    /// Nothing is brought over before the first batch.
    pub fn new(normalization: &Normalization, device: Device, room: u64) -> Card {
        let offset = match normalization.offset() {
            Offset::Channel(channels) => Tensor::from_slice(channels),
            Offset::Pixel(mean) => Tensor::from_slice(&mean.values).view([mean.height as i64, mean.width as i64, 3]),
        };
        let [offset, factor] = [offset, Tensor::from_slice(normalization.factor())].map(|tensor| tensor.to_device(device));
        Card { device, room, packed: OnceCell::new(), resized: OnceCell::new(), offset, factor }
    }

    /// Whether there is room for the images that these samples are cut from.
    pub fn holds(&self, source: &ImageSource, samples: &[Sample]) -> bool {
        let (height, width) = match cut_from(source, samples) {
            Some(CutFrom::Packed) => source.images().size(),
            Some(CutFrom::Resized) => (source.side(), source.side()),
            None => return false,
        };
        (source.images().len() * height * width * 3) as u64 <= self.room
    }

    /// Inputs `[n,3,size,size]`, channels-last, cut from images that lie on the card, and are brought there by the first of such calls.
    pub fn cut(&self, source: &ImageSource, samples: &[Sample]) -> Tensor {
        let images = match cut_from(source, samples) {
            Some(CutFrom::Resized) => self.resized.get_or_init(|| self.resized(source)),
            Some(CutFrom::Packed) | None => self.packed.get_or_init(|| self.packed(source)),
        };
        let places = self.places(source, samples);
        let rows = places.rows.view([-1, 1, 1]);
        let crops = images.index(&[Some(rows), Some(places.lines.unsqueeze(2)), Some(places.columns.unsqueeze(1))]);
        self.finish(&crops, &places, samples)
    }

    /// The same inputs from bytes that [`shown`] gave.
    pub fn take_over(&self, shown: &Tensor, source: &ImageSource, samples: &[Sample]) -> Tensor {
        self.finish(&bring(shown, self.device), &self.places(source, samples), samples)
    }

    fn packed(&self, source: &ImageSource) -> Tensor {
        let (height, width) = source.images().size();
        let shape = [source.images().len(), height, width, 3].map(|extent| extent as i64);
        Tensor::from_slice(source.images().pixels()).view(shape).to_device(self.device)
    }

    fn resized(&self, source: &ImageSource) -> Tensor {
        shown(source, &source.in_order(View::Whole, u32::MAX).concat(), self.device).to_device(self.device)
    }

    fn places(&self, source: &ImageSource, samples: &[Sample]) -> Places {
        let number = |of: fn(&Sample) -> i64| bring(&Tensor::from_slice(&samples.iter().map(of).collect::<Vec<_>>()), self.device);
        let side = Tensor::arange(source.side() as i64, (Kind::Int64, self.device));
        let from = |start: Tensor| start.unsqueeze(1) + &side;
        let (top, left) = (number(|sample| corner(sample).0), number(|sample| corner(sample).1));
        Places { rows: number(|sample| sample.image as i64), lines: from(top), columns: from(left) }
    }

    /// Inputs of what samples show, `[n,size,size,3] u8`.
    fn finish(&self, crops: &Tensor, places: &Places, samples: &[Sample]) -> Tensor {
        let offset = match self.offset.dim() {
            1 => self.offset.shallow_clone(),
            _ => self.offset.index(&[Some(places.lines.unsqueeze(2)), Some(places.columns.unsqueeze(1))]),
        };
        let straight = ((crops.to_kind(Kind::Float) - offset) * &self.factor).permute([0, 3, 1, 2]);
        let warped = if samples.iter().any(|sample| sample.warp.is_some()) { self.warped(&straight, samples) } else { straight };
        if samples.iter().any(|sample| sample.mirrored) { self.mirrored(&warped, samples) } else { warped }
    }

    /// As `packtrain::view` warps, by libtorch's sampling at given places.
    fn warped(&self, straight: &Tensor, samples: &[Sample]) -> Tensor {
        let size = straight.size()[2];
        // grid_sampler counts from -1 to 1 between the centres of the first and the last pixel, across first.
        let scale = 2.0 / (size - 1).max(1) as f64;
        let row = |[by_y, by_x]: [f64; 2], offset: f64| [by_x * scale, by_y * scale, offset * scale - 1.0].map(|number| number as f32);
        let map = |sample: &Sample| {
            let Affine { matrix, offset } = sample.warp.map_or(Affine::IDENTITY, |warp| warp.affine(size as usize));
            [row(matrix[1], offset[1]), row(matrix[0], offset[0])].concat()
        };
        let maps = bring(&Tensor::from_slice(&samples.iter().flat_map(map).collect::<Vec<f32>>()), self.device).view([-1, 2, 3]);
        let pixels = Tensor::arange(size * size, (Kind::Int64, self.device));
        let (y, x) = (pixels.divide_scalar_mode(size, "floor"), pixels.remainder(size));
        let places = Tensor::stack(&[x, y, pixels.ones_like()], 1).to_kind(Kind::Float);
        let grid = places.matmul(&maps.transpose(1, 2)).view([-1, size, size, 2]);
        channels_last(&straight.grid_sampler(&grid, BILINEAR, NEAREST_AT_THE_EDGE, true))
    }

    fn mirrored(&self, inputs: &Tensor, samples: &[Sample]) -> Tensor {
        let mirrored: Vec<bool> = samples.iter().map(|sample| sample.mirrored).collect();
        let mirrored = bring(&Tensor::from_slice(&mirrored), self.device).view([-1, 1, 1, 1]);
        channels_last(&inputs.flip([3]).where_self(&mirrored, inputs))
    }
}

/// What samples show of their images, `[n,size,size,3] u8`, in memory of the CPU that `device` reads by itself.
pub fn shown(source: &ImageSource, samples: &[Sample], device: Device) -> Tensor {
    let side = source.side();
    let mut bytes = vec![0; samples.len() * side * side * 3];
    bytes.par_chunks_exact_mut(side * side * 3).zip(samples).for_each(|(bytes, sample)| source.fill_bytes(bytes, *sample));
    let bytes = Tensor::from_slice(&bytes).view([samples.len() as i64, side as i64, side as i64, 3]);
    if device.is_cuda() { bytes.pin_memory(device) } else { bytes }
}

/// `None` for samples of which some show a crop and some a resized image.
fn cut_from(source: &ImageSource, samples: &[Sample]) -> Option<CutFrom> {
    let is_resized = |sample: &Sample| sample.view == View::Whole && source.images().size() != (source.side(), source.side());
    match samples.iter().filter(|sample| is_resized(sample)).count() {
        0 => Some(CutFrom::Packed),
        all if all == samples.len() => Some(CutFrom::Resized),
        _ => None,
    }
}

/// Top and left of what a sample shows of its image, or of the whole image resized.
fn corner(sample: &Sample) -> (i64, i64) {
    match sample.view {
        View::Whole => (0, 0),
        View::Crop { top, left } => (top as i64, left as i64),
    }
}

#[cfg(test)]
mod tests {
    use packtrain::artifact::{Mean, MeanImage};
    use packtrain::stage::Augment;
    use packtrain::view::{Draws, Purpose, Warp, Workbench};
    use serde_json::json;

    use super::*;
    use crate::fixture;
    use crate::inference::numbers;
    use crate::net::reference;

    const SIZE: usize = 9;

    /// Five images of 12×12 pixels that look like noise.
    fn source(mean: Option<&Mean>) -> ImageSource {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        let pixels: Vec<u8> = (0..5 * 12 * 12 * 3_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
        fixture::write(&path, 12, &pixels);
        ImageSource::open(&path, SIZE as u32, Normalization::of_training(mean, 0.5)).unwrap()
    }

    fn mean_image() -> Mean {
        let values = (0..12 * 12 * 3).map(|place| (place % 251) as f32).collect();
        Mean { r: 0.0, g: 0.0, b: 0.0, std: None, images: None, pixels: Some(MeanImage { height: 12, width: 12, values }) }
    }

    /// A sample of every image, half of them mirrored.
    fn samples(view: impl Fn(usize) -> View, warp: impl Fn(usize) -> Option<Warp>) -> Vec<Sample> {
        let sample = |image: usize| Sample { image: 4 - image, view: view(image), warp: warp(image), mirrored: image % 2 == 1 };
        (0..5).map(sample).collect()
    }

    /// `[n,size,size,3]`, as the CPU makes them.
    fn expected(source: &ImageSource, samples: &[Sample]) -> Vec<f32> {
        let mut inputs = vec![0.0; samples.len() * SIZE * SIZE * 3];
        let each = inputs.chunks_exact_mut(SIZE * SIZE * 3).zip(samples);
        each.for_each(|(input, sample)| source.fill(input, *sample, &mut Workbench::default()));
        inputs
    }

    /// The greatest distance between what the card makes of samples, of images that lie there and of such that come over, and what the
    /// CPU does.
    fn distance(source: &ImageSource, samples: &[Sample]) -> f32 {
        let device = reference::device();
        let card = Card::new(source.normalization(), device, u64::MAX);
        assert!(card.holds(source, samples));
        let expected = expected(source, samples);
        let made = [card.cut(source, samples), card.take_over(&shown(source, samples, device), source, samples)];
        let distances = made.iter().flat_map(|made| {
            assert_eq!(made.size(), [samples.len() as i64, 3, SIZE as i64, SIZE as i64]);
            let made = numbers(&made.permute([0, 2, 3, 1]));
            made.into_iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>()
        });
        distances.fold(0.0, f32::max)
    }

    fn crop(image: usize) -> View {
        View::Crop { top: image % 4, left: 3 - image % 4 }
    }

    #[test]
    fn crops_and_whole_images_have_the_bits_that_the_cpu_gives_them() {
        let mean = Mean { r: 3.0, g: 120.5, b: 7.0, std: None, images: None, pixels: None };
        for mean in [None, Some(mean.clone()), Some(mean_image())] {
            let source = source(mean.as_ref());
            assert_eq!(distance(&source, &samples(crop, |_| None)), 0.0);
        }
        assert_eq!(distance(&source(Some(&mean)), &samples(|_| View::Whole, |_| None)), 0.0);
    }

    #[test]
    fn warps_are_those_of_the_cpu_but_for_rounding() {
        let augment = json!({"rotation": 20, "zoom": 0.15, "shift": 0.2, "shear": 0.15, "horizontal-flip": true});
        let augment: Augment = serde_json::from_value(augment).unwrap();
        let warp = |image| Warp::draw(&augment, &mut Draws::new(1, Purpose::View, [1, image as u64]));
        let source = source(Some(&mean_image()));
        let warped = samples(crop, warp);
        assert!(warped.iter().all(|sample| sample.warp.is_some()));
        let distance = distance(&source, &warped);
        // Of numbers up to 128.
        assert!(distance < 2e-3, "{distance}");
    }

    #[test]
    fn images_without_room_are_not_held_nor_are_mixed_samples() {
        let source = source(None);
        let crops = samples(crop, |_| None);
        let card = |room| Card::new(source.normalization(), Device::Cpu, room);
        let bytes = 5 * 12 * 12 * 3;
        assert!(card(bytes).holds(&source, &crops) && !card(bytes - 1).holds(&source, &crops));
        let whole = samples(|_| View::Whole, |_| None);
        let resized = (5 * SIZE * SIZE * 3) as u64;
        assert!(card(resized).holds(&source, &whole) && !card(resized - 1).holds(&source, &whole));
        let mixed = [&crops[..], &whole].concat();
        assert!(!card(u64::MAX).holds(&source, &mixed));
        let made = card(0).take_over(&shown(&source, &mixed, Device::Cpu), &source, &mixed);
        assert_eq!(numbers(&made.permute([0, 2, 3, 1])), expected(&source, &mixed));
    }
}
