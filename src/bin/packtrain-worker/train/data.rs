//! The images that a network is trained and validated on, and what is taken of them in which epoch.

use packtrain::artifact::{Mean, RowLabels};
use packtrain::stage::{StageError, StageJob, Train};
use packtrain::view::{Draws, ImageSource, Normalization, Purpose, Sample, TrainingViews};
use tch::Device;

use crate::batches::Feed;

/// Training and validation images.
#[derive(Debug)]
pub struct TrainingData {
    pub train: Part,
    pub val: Option<Part>,
}

/// Images and the class of each.
#[derive(Debug)]
pub struct Part {
    pub feed: Feed,
    /// `[N]`: indices into the class names of the training images.
    labels: Vec<i64>,
}

impl TrainingData {
    /// Opens the images of a job; an error if they do not suit the network or each other.
    pub fn open(spec: &Train, job: &StageJob, mean: Option<&Mean>, device: Device) -> Result<TrainingData, StageError> {
        let open = |path| ImageSource::open(path, spec.input.size, Normalization::of_training(mean, spec.input.scale));
        let train = open(job.file("train")?)?;
        if train.images().len() < 2 {
            return Err(train.error("training takes two images at least".into()));
        }
        let class_names = train.images().rows().label_names.clone();
        let train = Part::new(train, &class_names, device)?;
        let val = job.optional_file("val")?.map(|path| Part::new(open(path)?, &class_names, device)).transpose()?;
        Ok(TrainingData { train, val })
    }

    /// The classes that the network tells apart.
    pub fn class_names(&self) -> &[String] {
        &self.train.feed.source().images().rows().label_names
    }

    /// Every training image once, in a random order, `spec.batch` at a time. Epochs are counted from 1.
    pub fn training_plan(&self, spec: &Train, seed: u64, epoch: u32) -> Result<Vec<Vec<Sample>>, StageError> {
        let views = TrainingViews { input: &spec.input, augment: &spec.augment, seed };
        let mut order: Vec<_> = (0..self.train.len()).collect();
        Draws::new(seed, Purpose::Order, [epoch.into(), 0]).shuffle(&mut order);
        let samples = order.into_iter().map(|image| views.sample(self.train.feed.source(), epoch, image)).collect::<Result<_, _>>()?;
        Ok(batches(samples, spec.batch as usize))
    }
}

impl Part {
    fn new(source: ImageSource, class_names: &[String], device: Device) -> Result<Part, StageError> {
        let labels = indices_by_name(source.images().rows(), class_names).map_err(|reason| source.error(reason))?;
        Ok(Part { feed: Feed::new(source, device), labels })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// `[N]`: the class of every image.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The classes of some samples.
    pub fn labels_of(&self, samples: &[Sample]) -> Vec<i64> {
        samples.iter().map(|sample| self.labels[sample.image]).collect()
    }
}

/// Splits samples into batches. A last one that is alone joins the batch before it: normalisation has nothing to say of one.
fn batches(samples: Vec<Sample>, size: usize) -> Vec<Vec<Sample>> {
    let mut batches: Vec<_> = samples.chunks(size.max(1)).map(<[Sample]>::to_vec).collect();
    if size > 1
        && batches.len() > 1
        && let Some(last) = batches.pop_if(|last| last.len() == 1)
        && let Some(before) = batches.last_mut()
    {
        before.extend(last);
    }
    batches
}

/// The class of every row as an index into `class_names`.
fn indices_by_name(rows: &RowLabels, class_names: &[String]) -> Result<Vec<i64>, String> {
    let place = |name: &String| class_names.iter().position(|class| class == name);
    let places: Vec<_> = rows.label_names.iter().map(|name| (name, place(name))).collect();
    let index_of = |&label: &i64| match usize::try_from(label).ok().and_then(|label| places.get(label)) {
        Some((_, Some(place))) => Ok(*place as i64),
        Some((name, None)) => Err(format!("the class `{name}` does not occur in the training images")),
        None => Err(format!("a row has the label {label}, which has no name")),
    };
    rows.labels.iter().map(index_of).collect()
}

#[cfg(test)]
mod tests {
    use packtrain::view::View;

    use super::*;

    fn samples(count: usize) -> Vec<Sample> {
        (0..count).map(|image| Sample { image, view: View::Whole, warp: None, mirrored: false }).collect()
    }

    fn sizes(count: usize, size: usize) -> Vec<usize> {
        batches(samples(count), size).iter().map(Vec::len).collect()
    }

    #[test]
    fn the_last_batch_is_kept_and_joins_the_one_before_if_it_is_a_single_image() {
        assert_eq!(sizes(10, 4), [4, 4, 2]);
        assert_eq!(sizes(9, 4), [4, 5]);
        assert_eq!(sizes(8, 4), [4, 4]);
        assert_eq!(sizes(3, 8), [3]);
    }

    #[test]
    fn labels_are_matched_by_name() {
        let rows = RowLabels { labels: vec![1, 0], label_names: vec!["cat".into(), "dog".into()], paths: vec![String::new(); 2] };
        let classes = ["ant", "cat", "dog"].map(str::to_owned);
        assert_eq!(indices_by_name(&rows, &classes).unwrap(), [2, 1]);
        let error = indices_by_name(&rows, &classes[..2]).unwrap_err();
        assert_eq!(error, "the class `dog` does not occur in the training images");
    }
}
