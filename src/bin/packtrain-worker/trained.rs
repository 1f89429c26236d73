//! A network from a `train` stage: how it is written, and how it is read back ready for use.

use std::path::Path;

use packtrain::artifact::{InputSpec, Mean, ModelFile, ModelHeader, ModelTensor};
use packtrain::stage::{EvalView, Network, StageError};
use packtrain::view::Normalization;
use tch::Device;

use crate::net::Classifier;
use crate::weights::Weights;

/// A network with its weights, class names and input rule.
#[derive(Debug)]
pub struct TrainedNetwork {
    pub net: Classifier,
    pub class_names: Vec<String>,
    pub input: InputSpec,
    pub view: EvalView,
}

impl TrainedNetwork {
    /// Reads a model onto a device; an error if it is a classifier of features or weights without a description.
    pub fn open(path: &Path, device: Device) -> Result<TrainedNetwork, StageError> {
        let invalid = |reason: String| StageError::Input { path: path.to_owned(), reason };
        let file = ModelFile::read(path)?;
        let header = file.header.ok_or_else(|| invalid("these are weights, not a model from a `train` stage".into()))?;
        let network: Network = serde_json::from_value(header.architecture.clone())
            .map_err(|error| invalid(format!("the model is no network ({}): {error}", header.architecture)))?;
        let input = header.input.ok_or_else(|| invalid("the model does not say what its input is".into()))?;
        let view = parse_view(&input.eval).ok_or_else(|| invalid(format!("`{}` is not a view of an image", input.eval)))?;
        if input.size < network.smallest_input() {
            return Err(invalid(format!("the model's input of {} pixels is too small for the network", input.size)));
        }

        let mut weights = Weights::zero(device);
        let net = Classifier::new(&network, &mut weights, input.size, header.class_names.len());
        weights.load(&file.tensors).map_err(|error| invalid(error.to_string()))?;
        Ok(TrainedNetwork { net, class_names: header.class_names, input, view })
    }

    /// What happens to the pixels of an image.
    pub fn normalization(&self) -> Normalization {
        Normalization::of_training(self.input.mean.as_ref(), self.input.scale)
    }

    /// An error if the file does not hold the mean that the network was trained with.
    pub fn check_mean(&self, path: &Path) -> Result<(), StageError> {
        let given = Mean::read(path)?;
        let trained = self.input.mean.as_ref();
        let subtracted = |mean: &Mean| ([mean.r, mean.g, mean.b], mean.pixels.clone());
        if trained.map(subtracted) == Some(subtracted(&given)) {
            return Ok(());
        }
        let trained = trained.map_or("none".to_owned(), describe);
        let reason = format!("this mean, {}, is not the one that the model was trained with: {trained}", describe(&given));
        Err(StageError::Input { path: path.to_owned(), reason })
    }
}

/// Writes a network's weights with everything that using it takes.
pub fn write(
    path: &Path,
    network: &Network,
    class_names: Vec<String>,
    input: InputSpec,
    tensors: &[ModelTensor],
) -> Result<(), StageError> {
    let architecture = serde_json::to_value(network).map_err(|error| StageError::Invalid(error.to_string()))?;
    let header = ModelHeader { architecture, class_names, input: Some(input) };
    Ok(ModelFile::write(path, &header, tensors)?)
}

/// The view's name in a model file.
pub fn view_name(view: EvalView) -> &'static str {
    match view {
        EvalView::Resize => "resize",
        EvalView::CenterCrop => "center-crop",
    }
}

fn parse_view(name: &str) -> Option<EvalView> {
    [EvalView::Resize, EvalView::CenterCrop].into_iter().find(|&view| view_name(view) == name)
}

fn describe(mean: &Mean) -> String {
    let per = if mean.pixels.is_some() { ", for every pixel" } else { "" };
    format!("R {:.3}, G {:.3}, B {:.3}{per}", mean.r, mean.g, mean.b)
}
