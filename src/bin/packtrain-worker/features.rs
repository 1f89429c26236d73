//! `extract-features`: what a network makes of images before its head.
//!
//! The features of an image have the same bits whatever other images are in its batch, as long as the batch has the same size:
//! libtorch chooses its algorithms by that. So every batch is full, and features of earlier results stand beside new ones as if all
//! had been computed together. A job that finds all of them does not read the network.

use std::path::Path;

use packtrain::artifact::{FeaturesWriter, ImagesFile, ModelFile};
use packtrain::stage::{
    EvalView, ExtractFeatures, Precision, PretrainedNetwork, RowCounts, RowSources, StageContext, StageError, StageJob,
};
use packtrain::view::{ImageSource, Normalization};
use tch::Device;

use crate::batches::Feed;
use crate::earlier::EarlierFeatures;
use crate::inference::Inference;
use crate::net::FeatureNet;
use crate::trained::TrainedNetwork;
use crate::weights::Weights;

/// A network and how it wants its images.
struct Extractor {
    net: FeatureNet,
    size: u32,
    view: EvalView,
    normalization: Normalization,
    batch: u32,
    precision: Precision,
    device: Device,
}

/// Numbers that are written at a time.
const BLOCK: usize = 1 << 20;

/// Runs the stage on a device with a certain [`arithmetic`](crate::device::arithmetic).
pub fn run(
    spec: &ExtractFeatures,
    job: &StageJob,
    device: Device,
    arithmetic: Option<&str>,
    context: &mut StageContext<'_>,
) -> Result<RowCounts, StageError> {
    let sets: Vec<Set<'_>> = spec.sets().into_iter().map(|(input, output)| Set::open(job, input, &output)).collect::<Result<_, _>>()?;
    let earlier = EarlierFeatures::open(&job.earlier, arithmetic)?;
    let all_known = sets.iter().all(|set| set.missing(&earlier).is_empty());
    let (extractor, dimensions) = match earlier.dimensions() {
        Some(dimensions) if all_known => (None, dimensions),
        _ => {
            let extractor = Extractor::load(spec, job, device)?;
            let dimensions = extractor.net.dimensions();
            (Some(extractor), dimensions)
        }
    };
    let mut counts = RowCounts::default();
    for set in &sets {
        let missing = set.missing(&earlier);
        counts += RowCounts { reused: (set.images.0.len() - missing.len()) as u64, made: missing.len() as u64 };
        let mut rows = Rows::create(set, dimensions, &earlier, job)?;
        if let Some(extractor) = &extractor {
            extractor.run(set, &missing, &mut rows, context)?;
        }
        rows.finish()?;
        set.images.write(&job.row_sources(&set.output))?;
    }
    Ok(counts)
}

/// Packed images whose features become an output.
struct Set<'a> {
    file: &'a Path,
    output: String,
    packed: ImagesFile,
    /// What they are known by.
    images: &'a RowSources,
}

impl Set<'_> {
    fn open<'a>(job: &'a StageJob, input: &str, output: &str) -> Result<Set<'a>, StageError> {
        let file = job.file(input)?;
        let packed = ImagesFile::open(file)?;
        let images = job.packed_rows(input)?;
        if images.0.len() != packed.len() {
            let reason = format!("it has {} images, not {} as was said", packed.len(), images.0.len());
            return Err(StageError::Input { path: file.to_owned(), reason });
        }
        Ok(Set { file, output: output.to_owned(), packed, images })
    }

    /// The rows that are not known.
    fn missing(&self, earlier: &EarlierFeatures) -> Vec<usize> {
        let rows = self.images.0.iter().enumerate();
        rows.filter(|(_, image)| earlier.row(image).is_none()).map(|(row, _)| row).collect()
    }
}

/// An output that is written in order, known rows between those that are computed.
struct Rows<'a> {
    writer: FeaturesWriter,
    block: Vec<f32>,
    dimensions: usize,
    images: &'a RowSources,
    earlier: &'a EarlierFeatures,
    next: usize,
}

impl Rows<'_> {
    fn create<'a>(set: &'a Set<'_>, dimensions: usize, earlier: &'a EarlierFeatures, job: &StageJob) -> Result<Rows<'a>, StageError> {
        let writer = FeaturesWriter::create(&job.output(&set.output)?, dimensions, set.packed.rows())?;
        Ok(Rows { writer, block: Vec::new(), dimensions, images: set.images, earlier, next: 0 })
    }

    /// Adds a computed row, after those before it, which are known.
    fn push(&mut self, row: usize, features: &[f32]) -> Result<(), StageError> {
        self.copy_until(row)?;
        self.append(features)
    }

    fn copy_until(&mut self, row: usize) -> Result<(), StageError> {
        let (images, earlier) = (self.images, self.earlier);
        images.0[self.next..row].iter().filter_map(|image| earlier.row(image)).try_for_each(|features| self.append(features))
    }

    fn append(&mut self, features: &[f32]) -> Result<(), StageError> {
        if features.len() != self.dimensions {
            return Err(StageError::Invalid(format!("an earlier result has {} features, not {}", features.len(), self.dimensions)));
        }
        self.block.extend_from_slice(features);
        self.next += 1;
        if self.block.len() >= BLOCK {
            self.writer.append(&self.block)?;
            self.block.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), StageError> {
        self.copy_until(self.images.0.len())?;
        self.writer.append(&self.block)?;
        Ok(self.writer.finish()?)
    }
}

impl Extractor {
    fn load(spec: &ExtractFeatures, job: &StageJob, device: Device) -> Result<Extractor, StageError> {
        match (job.optional_file("model")?, spec.network) {
            (Some(model), _) => trained(spec, model, device),
            (None, Some(network)) => pretrained(spec, network, job.file("weights")?, device),
            (None, None) => Err(StageError::Invalid("give either `model`, or `network` with `weights`".into())),
        }
    }

    /// Computes some rows of a set.
    fn run(&self, set: &Set<'_>, missing: &[usize], rows: &mut Rows<'_>, context: &mut StageContext<'_>) -> Result<(), StageError> {
        let feed = Feed::new(ImageSource::open(set.file, self.size, self.normalization.clone())?, self.device);
        let source = feed.source();
        let plan = source.full_batches(source.eval_view(self.view)?, missing, self.batch);
        let activity = format!("extracting {}", set.output);
        let inference = Inference { precision: self.precision, activity, forward: &|images| self.net.features(images) };
        let mut missing = missing.iter();
        inference.run(&feed, &plan, context, |features| {
            // What fills the last batch comes after all rows.
            features.chunks_exact(rows.dimensions).zip(missing.by_ref()).try_for_each(|(features, row)| rows.push(*row, features))
        })
    }
}

fn trained(spec: &ExtractFeatures, model: &Path, device: Device) -> Result<Extractor, StageError> {
    let model = TrainedNetwork::open(model, device)?;
    Ok(Extractor {
        size: model.input.size,
        view: spec.view.unwrap_or(model.view),
        normalization: model.normalization(),
        net: FeatureNet::Classifier(model.net),
        batch: spec.batch,
        precision: spec.precision,
        device,
    })
}

fn pretrained(spec: &ExtractFeatures, network: PretrainedNetwork, path: &Path, device: Device) -> Result<Extractor, StageError> {
    let invalid = |reason: String| StageError::Input { path: path.to_owned(), reason };
    let file = ModelFile::read(path)?;
    let mut weights = Weights::zero(device);
    let net = FeatureNet::pretrained(network, &mut weights);
    weights.load(&file.tensors).map_err(|error| invalid(format!("{error}, with torchvision's names of {}", network.name())))?;
    let normalization = match Normalization::requested(&spec.normalize) {
        Some(normalization) => normalization,
        None => of_metadata(&file).map_err(invalid)?,
    };
    let (size, view) = (spec.size.unwrap_or(PretrainedNetwork::SIZE), spec.view.unwrap_or_default());
    Ok(Extractor { net, size, view, normalization, batch: spec.batch, precision: spec.precision, device })
}

/// The normalisation that a weights file asks for: `scale` is `0-255` or `0-1`, `mean` and `std` are three numbers in the units
/// of `scale`. A file that says nothing was made with torchvision's.
fn of_metadata(file: &ModelFile) -> Result<Normalization, String> {
    let field = |name: &str| file.metadata.get(name).map(String::as_str);
    if ["scale", "mean", "std"].iter().all(|name| field(name).is_none()) {
        return Ok(Normalization::torchvision());
    }
    let scale = match field("scale") {
        Some("0-255") => 1.0,
        None | Some("0-1") => 1.0 / 255.0,
        Some(other) => return Err(format!("the metadata `scale` is `{other}`, not `0-255` or `0-1`; give `normalize` instead")),
    };
    let mean = field("mean").map_or(Ok([0.0; 3]), |text| three_numbers("mean", text))?;
    let std = field("std").map_or(Ok([1.0; 3]), |text| three_numbers("std", text))?;
    Ok(Normalization::standard(scale, mean, std))
}

fn three_numbers(name: &str, text: &str) -> Result<[f64; 3], String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let three = numbers.and_then(|numbers| numbers.try_into().ok());
    three.ok_or_else(|| format!("the metadata `{name}` is `{text}`, not three numbers; give `normalize` instead"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn normalization(metadata: &[(&str, &str)]) -> Result<Normalization, String> {
        let metadata: BTreeMap<_, _> = metadata.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        of_metadata(&ModelFile { header: None, metadata, tensors: Vec::new() })
    }

    #[test]
    fn the_metadata_of_a_weights_file_decides_how_pixels_are_normalised() {
        let of_0_to_255 = normalization(&[("format", "pt"), ("scale", "0-255"), ("mean", "123,117,104")]);
        assert_eq!(of_0_to_255.unwrap(), Normalization::standard(1.0, [123.0, 117.0, 104.0], [1.0; 3]));
        let of_0_to_1 = normalization(&[("mean", "0.5, 0.5, 0.5"), ("std", "0.25,0.25,0.25")]);
        assert_eq!(of_0_to_1.unwrap(), Normalization::standard(1.0 / 255.0, [0.5; 3], [0.25; 3]));
        assert_eq!(normalization(&[("format", "pt")]).unwrap(), Normalization::torchvision());
    }

    #[test]
    fn metadata_that_says_something_else_is_an_error() {
        let error = normalization(&[("scale", "0-1023")]).unwrap_err();
        assert_eq!(error, "the metadata `scale` is `0-1023`, not `0-255` or `0-1`; give `normalize` instead");
        let error = normalization(&[("mean", "123,117")]).unwrap_err();
        assert_eq!(error, "the metadata `mean` is `123,117`, not three numbers; give `normalize` instead");
    }
}
