//! `extract-features`: parameters, inputs and outputs. The worker does the work.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, EvalView, InputUse, OutputDecl, ParameterProblem, Precision, Reference};

/// Runs a network without its last layer over packed images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExtractFeatures {
    /// Images whose features become the output `features`.
    pub images: Option<Reference>,
    /// Images whose features become the output `train`.
    pub train: Option<Reference>,
    /// Images whose features become the output `val`.
    pub val: Option<Reference>,
    /// Images whose features become the output `test`.
    pub test: Option<Reference>,
    /// A network trained by a `train` stage. Either this or `network` with `weights`.
    pub model: Option<Reference>,
    /// A network to be filled with `weights`.
    pub network: Option<PretrainedNetwork>,
    /// Weights of `network`: safetensors with torchvision's names.
    pub weights: Option<Reference>,
    /// Side of the network's input in pixels; with `model` the size that it was trained with.
    #[schemars(range(min = 1, max = 4096))]
    pub size: Option<u32>,
    /// What is taken of an image that is larger than the input; with `model` what it was trained to be evaluated on, else
    /// `resize`.
    pub view: Option<EvalView>,
    /// How pixels are normalised for `weights`; a `model` knows its own.
    #[serde(default)]
    pub normalize: Normalize,
    /// Images per forward pass. It decides the last digits of the features.
    #[serde(default = "ExtractFeatures::default_batch")]
    #[schemars(range(min = 1))]
    pub batch: u32,
    /// The numbers that the network computes with; the features are written as fp32.
    #[serde(default)]
    pub precision: Precision,
}

/// Networks whose weights are made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PretrainedNetwork {
    /// ResNet-18: 512 features.
    #[serde(rename = "resnet18")]
    Resnet18,
    /// ResNet-34: 512 features.
    #[serde(rename = "resnet34")]
    Resnet34,
    /// ResNet-50: 2,048 features.
    #[serde(rename = "resnet50")]
    Resnet50,
    /// ResNet-101: 2,048 features.
    #[serde(rename = "resnet101")]
    Resnet101,
    /// SqueezeNet 1.0: 512 features.
    #[serde(rename = "squeezenet1_0")]
    Squeezenet1_0,
}

/// How 0–255 RGB pixels become network inputs: `(pixel * scale - mean) / std`, by channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalize {
    /// As the metadata of the weights file says (`scale`, `mean`, `std`), else as torchvision does.
    #[default]
    Auto,
    /// As torchvision does: divided by 255, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
    Torchvision,
    /// As given.
    Custom {
        /// Factor before the mean is subtracted.
        scale: f64,
        /// R, G, B.
        mean: [f64; 3],
        /// R, G, B.
        std: [f64; 3],
    },
}

impl PretrainedNetwork {
    /// The name in a manifest, which is torchvision's.
    pub fn name(self) -> &'static str {
        match self {
            PretrainedNetwork::Resnet18 => "resnet18",
            PretrainedNetwork::Resnet34 => "resnet34",
            PretrainedNetwork::Resnet50 => "resnet50",
            PretrainedNetwork::Resnet101 => "resnet101",
            PretrainedNetwork::Squeezenet1_0 => "squeezenet1_0",
        }
    }

    /// Which file is missing, and where people usually get it.
    fn needs_weights(self) -> String {
        let name = self.name();
        let version = match self {
            PretrainedNetwork::Resnet50 | PretrainedNetwork::Resnet101 => "IMAGENET1K_V2",
            PretrainedNetwork::Resnet18 | PretrainedNetwork::Resnet34 | PretrainedNetwork::Squeezenet1_0 => "IMAGENET1K_V1",
        };
        format!(
            "`network: {name}` needs `weights: {{ file: {name}.safetensors }}`, with torchvision's tensor names. Python with \
             torchvision makes that file:\n    \
             import torchvision; from safetensors.torch import save_file\n    \
             save_file(torchvision.models.{name}(weights=\"{version}\").state_dict(), \"{name}.safetensors\")"
        )
    }
}

const OUTPUTS: [OutputDecl; 4] = [
    OutputDecl::new("features", ArtifactType::Features, "features.h5"),
    OutputDecl::new("train", ArtifactType::Features, "train.h5"),
    OutputDecl::new("val", ArtifactType::Features, "val.h5"),
    OutputDecl::new("test", ArtifactType::Features, "test.h5"),
];

impl ExtractFeatures {
    /// `batch` is not among them: libtorch chooses its algorithms by the size of a batch, and each rounds otherwise.
    pub(super) const BESIDE_ROWS: &[&str] = &["images", "train", "val", "test"];

    /// Every set of images to run over: the input's name and the name of the output that it becomes.
    pub fn sets(&self) -> Vec<(&'static str, Cow<'static, str>)> {
        self.image_inputs().into_iter().map(|(input, _, output)| (input, output.name)).collect()
    }

    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let images = self.image_inputs().into_iter();
        let mut inputs: Vec<_> = images.map(|(name, reference, _)| InputUse::reference(name, reference, &[ArtifactType::Images])).collect();
        inputs.extend(self.model.as_ref().map(|model| InputUse::reference("model", model, &[ArtifactType::Model])));
        inputs.extend(
            self.weights.as_ref().map(|weights| InputUse::reference("weights", weights, &[ArtifactType::Weights, ArtifactType::Model])),
        );
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        self.image_inputs().into_iter().map(|(_, _, output)| output).collect()
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, path: &str, message: &str| {
            if !holds {
                problems.push(ParameterProblem::new(path, message));
            }
        };
        require(!self.image_inputs().is_empty(), "", "give `images`, or any of `train`, `val` and `test`");
        require(self.batch >= 1, "batch", "`batch` is 1 or more");
        match (&self.model, self.network, &self.weights) {
            (Some(_), None, None) => {
                require(self.size.is_none(), "size", "a `model` has its own input size; leave `size` out");
                require(self.normalize == Normalize::Auto, "normalize", "a `model` has its own normalisation; leave `normalize` out");
            }
            (Some(_), _, _) => require(false, "model", "give either `model`, or `network` with `weights`, not both"),
            (None, None, None) => require(false, "", "give either `model`, or `network` with `weights`"),
            (None, None, Some(_)) => require(false, "weights", "`weights` needs `network`: the network that they belong to"),
            (None, Some(network), None) => require(false, "network", &network.needs_weights()),
            (None, Some(_), Some(_)) => {}
        }
        if let Normalize::Custom { scale, std, .. } = self.normalize {
            let positive = |value: f64| value.is_finite() && value > 0.0;
            require(positive(scale), "normalize.custom.scale", "`scale` is a number above 0");
            require(std.into_iter().all(positive), "normalize.custom.std", "`std` is three numbers above 0");
        }
        problems
    }

    fn image_inputs(&self) -> Vec<(&'static str, &Reference, OutputDecl)> {
        let given = [("images", &self.images), ("train", &self.train), ("val", &self.val), ("test", &self.test)];
        given.into_iter().zip(OUTPUTS).filter_map(|((name, reference), output)| Some((name, reference.as_ref()?, output))).collect()
    }

    fn default_batch() -> u32 {
        32
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problems(spec: Value) -> Vec<String> {
        let spec: ExtractFeatures = serde_json::from_value(spec).unwrap();
        spec.check().into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn a_network_without_weights_is_told_how_people_make_the_file() {
        let found = problems(json!({"images": "pack.train", "network": "resnet50"}));
        insta::assert_snapshot!(found.join("\n"), @r#"
        network: `network: resnet50` needs `weights: { file: resnet50.safetensors }`, with torchvision's tensor names. Python with torchvision makes that file:
            import torchvision; from safetensors.torch import save_file
            save_file(torchvision.models.resnet50(weights="IMAGENET1K_V2").state_dict(), "resnet50.safetensors")
        "#);
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        let weights = json!({"file": "w.safetensors"});
        assert_eq!(problems(json!({"images": "a", "model": "train"})), Vec::<String>::new());
        assert_eq!(problems(json!({"images": "a", "network": "resnet50", "weights": weights})), Vec::<String>::new());
        assert_eq!(problems(json!({"images": "a"})), [": give either `model`, or `network` with `weights`"]);
        assert_eq!(
            problems(json!({"model": "train", "network": "resnet50", "weights": weights})),
            [": give `images`, or any of `train`, `val` and `test`", "model: give either `model`, or `network` with `weights`, not both"]
        );
        assert_eq!(
            problems(json!({"images": "a", "model": "train", "size": 64, "normalize": "torchvision"})),
            [
                "size: a `model` has its own input size; leave `size` out",
                "normalize: a `model` has its own normalisation; leave `normalize` out"
            ]
        );
    }
}
