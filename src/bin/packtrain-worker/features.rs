//! `extract-features`: what a network makes of images before its head.

use std::path::Path;

use packtrain::artifact::{FeaturesWriter, ModelFile};
use packtrain::stage::{EvalView, ExtractFeatures, PretrainedNetwork, StageContext, StageError, StageJob};
use tch::Device;

use crate::batches::{ImageSource, Normalization};
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
}

/// Runs the stage.
pub fn run(spec: &ExtractFeatures, job: &StageJob, device: Device, context: &mut StageContext<'_>) -> Result<(), StageError> {
    let extractor = match (job.optional_file("model")?, spec.network) {
        (Some(model), _) => trained(spec, model, device)?,
        (None, Some(network)) => pretrained(spec, network, job.file("weights")?, device)?,
        (None, None) => return Err(StageError::Invalid("give either `model`, or `network` with `weights`".into())),
    };
    for (input, output) in spec.sets() {
        let source = ImageSource::open(job.file(input)?, extractor.size, extractor.normalization.clone())?;
        let plan = source.in_order(source.eval_view(extractor.view)?, spec.batch);
        let mut writer = FeaturesWriter::create(&job.output(&output)?, extractor.net.dimensions(), source.images().rows())?;
        let activity = format!("extracting {output}");
        let inference = Inference { device, activity, forward: &|images| extractor.net.features(images) };
        inference.run(&source, &plan, context, |features| Ok(writer.append(features)?))?;
        writer.finish()?;
    }
    Ok(())
}

fn trained(spec: &ExtractFeatures, model: &Path, device: Device) -> Result<Extractor, StageError> {
    let model = TrainedNetwork::open(model, device)?;
    Ok(Extractor {
        size: model.input.size,
        view: spec.view.unwrap_or(model.view),
        normalization: model.normalization(),
        net: FeatureNet::Classifier(model.net),
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
    Ok(Extractor { net, size: spec.size.unwrap_or(PretrainedNetwork::SIZE), view: spec.view.unwrap_or_default(), normalization })
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
