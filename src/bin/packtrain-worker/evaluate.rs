//! `evaluate` for networks and `oversample-eval`.
//!
//! Every batch is full, as in `features`: what a network says of an image has the same bits whatever other images it is asked about, and
//! so a prediction of one image is what the evaluation of its set says of it.

use packtrain::artifact::{Evaluation, OversampleEvaluation, Predictions};
use packtrain::event::StageEvent;
use packtrain::stage::{Evaluate, OversampleEval, Precision, StageContext, StageError, StageJob};
use packtrain::view::{ImageSource, Sample, View, crops};
use tch::Device;

use crate::batches::Feed;
use crate::inference::Inference;
use crate::net::Mode;
use crate::trained::TrainedNetwork;

/// A network, the images to evaluate it on, and where it runs.
struct Subject {
    model: TrainedNetwork,
    feed: Feed,
    precision: Precision,
}

/// Runs `evaluate`.
pub fn run(spec: &Evaluate, job: &StageJob, device: Device, context: &mut StageContext<'_>) -> Result<(), StageError> {
    let subject = Subject::open(job, Precision::Fp32, device)?;
    let plan = subject.whole_images(spec.batch)?;
    let probabilities = subject.probabilities("evaluating", &plan, 1, context)?;
    let predictions = subject.predictions(&probabilities);
    let evaluation = predictions.evaluate();
    evaluation.write(&job.output("evaluation")?)?;
    predictions.write_csv(&job.output("predictions")?)?;
    evaluation.write_confusion(&job.output("confusion")?)?;
    emit_ranks("", &evaluation, context);
    Ok(())
}

/// Runs `oversample-eval`. The predictions written are those of the crops.
pub fn run_oversample(spec: &OversampleEval, job: &StageJob, device: Device, context: &mut StageContext<'_>) -> Result<(), StageError> {
    let subject = Subject::open(job, spec.precision, device)?;
    let source = subject.feed.source();
    let views = crops(source, spec.crops)?;
    let baseline_plan = subject.whole_images(spec.batch.saturating_mul(spec.crops))?;
    let crops_plan = crops_of_all(source, &views, spec.batch);

    let baseline = subject.probabilities("whole images", &baseline_plan, 1, context)?;
    let baseline = subject.predictions(&baseline).evaluate();
    let averaged = subject.probabilities(&format!("{} crops", spec.crops), &crops_plan, spec.crops as usize, context)?;
    let predictions = subject.predictions(&averaged);
    let crops = predictions.evaluate();

    predictions.write_csv(&job.output("predictions")?)?;
    let evaluation = OversampleEvaluation { count: spec.crops, gain: crops.rank1 - baseline.rank1, baseline, crops };
    evaluation.write(&job.output("evaluation")?)?;
    evaluation.crops.write_confusion(&job.output("confusion")?)?;
    emit_ranks("baseline ", &evaluation.baseline, context);
    emit_ranks(&format!("{}-crop ", spec.crops), &evaluation.crops, context);
    context.emit(StageEvent::Metric { name: "gain".to_owned(), value: evaluation.gain });
    Ok(())
}

/// Every image's crops, one image after the other, those of exactly `batch` images at a time: the last image is repeated.
fn crops_of_all(source: &ImageSource, views: &[(View, bool)], batch: u32) -> Vec<Vec<Sample>> {
    let of_image = |whole: Sample| views.iter().map(move |&(view, mirrored)| Sample { image: whole.image, view, warp: None, mirrored });
    let batches = source.full_batches(View::Whole, &all(source), batch);
    batches.iter().map(|images| images.iter().copied().flat_map(of_image).collect()).collect()
}

fn all(source: &ImageSource) -> Vec<usize> {
    (0..source.images().len()).collect()
}

impl Subject {
    fn open(job: &StageJob, precision: Precision, device: Device) -> Result<Subject, StageError> {
        let model = TrainedNetwork::open(job.file("model")?, device)?;
        if let Some(mean) = job.optional_file("mean")? {
            model.check_mean(mean)?;
        }
        let source = ImageSource::open(job.file("images")?, model.input.size, model.normalization())?;
        Ok(Subject { model, feed: Feed::new(source, device), precision })
    }

    /// Every image as it is evaluated.
    fn whole_images(&self, batch: u32) -> Result<Vec<Vec<Sample>>, StageError> {
        let source = self.feed.source();
        Ok(source.full_batches(source.eval_view(self.model.view)?, &all(source), batch))
    }

    /// Class probabilities `[N*C]`, averaged over the `each` samples that every image has.
    fn probabilities(
        &self,
        activity: &str,
        plan: &[Vec<Sample>],
        each: usize,
        context: &mut StageContext<'_>,
    ) -> Result<Vec<f32>, StageError> {
        let classes = self.model.class_names.len();
        let images = self.feed.source().images().len();
        let forward = |images: &_| self.model.net.logits(images, Mode::Frozen);
        let inference = Inference { precision: self.precision, activity: activity.to_owned(), forward: &forward };
        let mut probabilities = Vec::with_capacity(images * classes);
        inference.run(&self.feed, plan, context, |logits| {
            probabilities.extend(logits.chunks(classes * each).flat_map(|logits| mean_softmax(logits, classes)));
            Ok(())
        })?;
        // What fills the last batch comes after all images.
        probabilities.truncate(images * classes);
        Ok(probabilities)
    }

    fn predictions<'a>(&'a self, probabilities: &'a [f32]) -> Predictions<'a> {
        Predictions { probabilities, rows: self.feed.source().images().rows(), class_names: &self.model.class_names }
    }
}

/// The mean of the softmax of every row of `[n*classes]` logits.
fn mean_softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let mut mean = vec![0.0_f64; classes];
    let rows = logits.len() / classes;
    for logits in logits.chunks_exact(classes) {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: Vec<_> = logits.iter().map(|&logit| f64::from(logit - greatest).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        mean.iter_mut().zip(exponentials).for_each(|(mean, exponential)| *mean += exponential / sum / rows as f64);
    }
    mean.into_iter().map(|mean| mean as f32).collect()
}

fn emit_ranks(prefix: &str, evaluation: &Evaluation, context: &mut StageContext<'_>) {
    for (rank, value) in [("rank-1", evaluation.rank1), ("rank-5", evaluation.rank5)] {
        context.emit(StageEvent::Metric { name: format!("{prefix}{rank}"), value });
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::fixture;
    use packtrain::view::Normalization;

    #[test]
    fn ten_crops_are_the_corners_clockwise_the_centre_and_their_mirror_images() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("images.h5");
        fixture::write_coloured(&path, 9, 2);
        let source = ImageSource::open(&path, 6, Normalization::of_training(None, 1.0)).unwrap();
        let samples = crops_of_all(&source, &crops(&source, 10).unwrap(), 3).concat();
        assert_eq!(samples.len(), 30);
        assert_eq!(samples[20..], samples[10..20], "the last batch is full");
        for (image, samples) in samples[..20].chunks(10).enumerate() {
            let places = [(0, 0), (0, 3), (3, 3), (3, 0), (1, 1)].map(|(top, left)| View::Crop { top, left });
            let expected = [false, true].into_iter().flat_map(|mirrored| places.map(|view| Sample { image, view, warp: None, mirrored }));
            assert!(expected.eq(samples.iter().copied()));
        }
        assert_eq!(crops_of_all(&source, &crops(&source, 5).unwrap(), 1)[0], samples[..5]);
    }

    /// softmax(0, ln 3) is (1/4, 3/4), softmax(1000, 1000) is (1/2, 1/2).
    #[test]
    fn probabilities_are_averaged_over_the_crops_of_an_image() {
        assert_eq!(mean_softmax(&[0.0, 3.0_f32.ln(), 1000.0, 1000.0], 2), [0.375, 0.625]);
    }
}
