//! Forward passes without gradients over the images of a file.

use std::time::{Duration, Instant};

use packtrain::event::{StageEvent, Unit};
use packtrain::stage::{Precision, StageContext, StageError};
use packtrain::view::Sample;
use tch::{Device, Kind, Tensor};

use crate::batches::Feed;

/// A network's forward pass, `[N,3,size,size]` to `[N,D]`, and what it is called in progress reports.
pub struct Inference<'a> {
    /// The numbers that it computes with.
    pub precision: Precision,
    pub activity: String,
    pub forward: &'a dyn Fn(&Tensor) -> Tensor,
}

/// Progress, reported a few times a second.
#[derive(Debug)]
pub struct Progress {
    activity: String,
    done: u64,
    total: u64,
    reported: Option<Instant>,
}

const REPORT_EVERY: Duration = Duration::from_millis(200);

impl Inference<'_> {
    /// Gives the outputs of every batch of the plan, `[n*D]`, to `sink`.
    pub fn run(
        &self,
        feed: &Feed,
        plan: &[Vec<Sample>],
        context: &mut StageContext<'_>,
        mut sink: impl FnMut(&[f32]) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let images = plan.iter().map(|samples| distinct_images(samples)).sum();
        let mut progress = Progress::new(self.activity.clone(), images);
        let mut take = |(images, outputs): (usize, Tensor), context: &mut StageContext<'_>| {
            sink(&numbers(&outputs))?;
            progress.advance(images, context);
            Ok(())
        };
        // A card works on a batch while the outputs of the one before are read.
        let mut under_way = None;
        feed.for_each(plan, |samples, inputs| {
            context.check_cancelled()?;
            let outputs = tch::no_grad(|| (self.forward)(&in_precision(inputs, self.precision)));
            let before = under_way.replace((distinct_images(samples), outputs));
            before.map_or(Ok(()), |before| take(before, context))
        })?;
        under_way.map_or(Ok(()), |last| take(last, context))
    }
}

impl Progress {
    /// Nothing done yet of `total` images.
    pub fn new(activity: String, total: usize) -> Progress {
        Progress { activity, done: 0, total: total as u64, reported: None }
    }

    /// `images` more are done.
    pub fn advance(&mut self, images: usize, context: &mut StageContext<'_>) {
        self.done += images as u64;
        let due = self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY);
        if due || self.done == self.total {
            self.reported = Some(Instant::now());
            let (activity, done, total) = (self.activity.clone(), self.done, self.total);
            context.emit(StageEvent::Progress { activity, done, total, unit: Unit::Images });
        }
    }
}

/// Images as a network takes them that computes with such numbers.
pub fn in_precision(images: &Tensor, precision: Precision) -> Tensor {
    match precision {
        Precision::Fp32 => images.shallow_clone(),
        Precision::Bf16 => images.to_kind(Kind::BFloat16),
    }
}

/// The numbers of a tensor, row by row.
pub fn numbers(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut numbers, tensor.numel());
    numbers
}

/// Samples of the same image follow one another.
fn distinct_images(samples: &[Sample]) -> usize {
    samples.chunk_by(|a, b| a.image == b.image).count()
}
