//! Batches of network inputs as tensors, prepared by threads of their own while the network works on the batch before.
//!
//! Knows nothing of networks and labels.

use std::panic::resume_unwind;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use packtrain::stage::StageError;
use packtrain::view::{ImageSource, Sample};
use tch::{Device, Kind, Tensor};

use crate::card::{Card, shown};
use crate::{device, kernels};

/// Batches that are ready while the network works.
const AHEAD: usize = 1;

/// Images that become batches on a device.
#[derive(Debug)]
pub struct Feed {
    source: ImageSource,
    device: Device,
    /// Where the device is one.
    card: Option<Card>,
}

impl Feed {
    pub fn new(source: ImageSource, device: Device) -> Feed {
        // The other half is left to the network.
        let card = device.is_cuda().then(|| Card::new(source.normalization(), device, device::free_memory(device) / 2));
        Feed { source, device, card }
    }

    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Calls `work` with every list of samples and their inputs `[n,3,size,size]` on the device, channels-last, which it must not keep:
    /// once it returns, their memory is that of a later batch. New memory costs more time in page faults than inputs take to compute.
    pub fn for_each(
        &self,
        plan: &[Vec<Sample>],
        mut work: impl FnMut(&[Sample], &Tensor) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let Feed { source, device, card } = self;
        let Some(card) = card else { return on_cpu(source, plan, work) };
        let held = plan.iter().take_while(|samples| card.holds(source, samples)).count();
        plan[..held].iter().try_for_each(|samples| work(samples, &card.cut(source, samples)))?;
        let prepare = |samples: &[Sample], _| shown(source, samples, *device);
        ahead(&plan[held..], prepare, |samples, shown| work(samples, &card.take_over(shown, source, samples)))
    }
}

fn on_cpu(
    source: &ImageSource,
    plan: &[Vec<Sample>],
    mut work: impl FnMut(&[Sample], &Tensor) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let greatest = plan.iter().map(Vec::len).max().unwrap_or(0);
    let prepare = |samples: &[Sample], used: Option<Tensor>| {
        let mut room = used.unwrap_or_else(|| room(greatest, source.side()));
        let numbers = samples.len() * source.side() * source.side() * 3;
        source.fill_all(&mut kernels::numbers_mut(&mut room)[..numbers], samples);
        room
    };
    ahead(plan, prepare, |samples, room| work(samples, &room.narrow(0, 0, samples.len() as i64).permute([0, 3, 1, 2])))
}

/// Prepares what `work` needs for every list of samples in a thread of its own. What `work` is done with is there to be used again.
fn ahead(
    plan: &[Vec<Sample>],
    prepare: impl Fn(&[Sample], Option<Tensor>) -> Tensor + Send,
    mut work: impl FnMut(&[Sample], &Tensor) -> Result<(), StageError>,
) -> Result<(), StageError> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let (give_back, given_back) = channel();
        let producer = scope.spawn(move || {
            for samples in plan {
                if sender.send(prepare(samples, given_back.try_recv().ok())).is_err() {
                    return; // `work` failed and the receiver is gone
                }
            }
        });
        let result = plan.iter().zip(receiver).try_for_each(|(samples, prepared)| {
            work(samples, &prepared)?;
            // Nobody takes it once the last batch is prepared.
            drop(give_back.send(prepared));
            Ok(())
        });
        producer.join().unwrap_or_else(|panic| resume_unwind(panic));
        result
    })
}

/// The memory of a batch: `[count,size,size,3]`.
fn room(count: usize, size: usize) -> Tensor {
    Tensor::empty([count, size, size, 3].map(|extent| extent as i64), (Kind::Float, Device::Cpu))
}

#[cfg(test)]
mod tests {
    use packtrain::artifact::{Mean, MeanImage};
    use packtrain::stage::EvalView;
    use packtrain::view::{Normalization, View};
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
        let work = |_: &[Sample], tensor: &Tensor| {
            inputs = numbers(&tensor.select(1, channel));
            Ok(())
        };
        on_cpu(source, &plan, work).unwrap();
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
        let result = on_cpu(&source, &plan, |_, _| {
            calls += 1;
            if calls == 3 { Err(StageError::Interrupted) } else { Ok(()) }
        });
        assert!(matches!(result, Err(StageError::Interrupted)));
        assert_eq!(calls, 3);
    }
}
