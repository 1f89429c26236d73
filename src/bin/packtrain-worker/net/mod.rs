//! The networks, one file each. A network is a plain struct of layers whose tensors have documented names.

mod alexnet;
mod deeper_googlenet;
mod layers;
mod mini_googlenet;
#[cfg(test)]
pub mod reference;
mod resnet;
mod squeezenet;
mod unit;

use packtrain::stage::{Network, PretrainedNetwork};
use tch::Tensor;

use crate::net::alexnet::AlexNet;
use crate::net::deeper_googlenet::DeeperGoogLeNet;
pub use crate::net::layers::Mode;
use crate::net::mini_googlenet::MiniGoogLeNet;
use crate::net::resnet::{Depth, ResNet};
use crate::net::squeezenet::SqueezeNet;
use crate::net::unit::UnitRule;
use crate::weights::Weights;

/// A network that classifies: features, then a dense head.
#[derive(Debug)]
#[expect(clippy::enum_variant_names, reason = "these are the names of the networks")]
pub enum Classifier {
    AlexNet(Box<AlexNet>),
    MiniGoogLeNet(Box<MiniGoogLeNet>),
    DeeperGoogLeNet(Box<DeeperGoogLeNet>),
}

/// A network that is used for its features alone.
#[derive(Debug)]
pub enum FeatureNet {
    Classifier(Classifier),
    ResNet(ResNet),
    SqueezeNet(Box<SqueezeNet>),
}

impl Classifier {
    /// For images of `size` × `size`. Its tensors are added to `weights`.
    pub fn new(network: &Network, weights: &mut Weights, size: u32, classes: usize) -> Classifier {
        let classes = classes as i64;
        match *network {
            Network::Alexnet { activation, norm, .. } => {
                Classifier::AlexNet(Box::new(AlexNet::new(weights, size, classes, UnitRule { activation, norm })))
            }
            Network::MiniGooglenet { activation, norm, .. } => {
                Classifier::MiniGoogLeNet(Box::new(MiniGoogLeNet::new(weights, classes, UnitRule { activation, norm })))
            }
            Network::DeeperGooglenet { activation, norm, modules_4, .. } => {
                Classifier::DeeperGoogLeNet(Box::new(DeeperGoogLeNet::new(weights, classes, UnitRule { activation, norm }, modules_4)))
            }
        }
    }

    /// The input of the head: `[N,3,size,size]` to `[N,D]`.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        match self {
            Classifier::AlexNet(net) => net.features(images, mode),
            Classifier::MiniGoogLeNet(net) => net.features(images, mode),
            Classifier::DeeperGoogLeNet(net) => net.features(images, mode),
        }
    }

    /// `[N,3,size,size]` to `[N,classes]`.
    pub fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        let features = self.features(images, mode);
        match self {
            Classifier::AlexNet(net) => net.head(&features, mode),
            Classifier::MiniGoogLeNet(net) => net.head(&features, mode),
            Classifier::DeeperGoogLeNet(net) => net.head(&features, mode),
        }
    }
}

impl FeatureNet {
    /// A network with torchvision's tensor names. Its tensors are added to `weights`.
    pub fn pretrained(network: PretrainedNetwork, weights: &mut Weights) -> FeatureNet {
        match network {
            PretrainedNetwork::Resnet18 => FeatureNet::ResNet(ResNet::new(weights, Depth::Eighteen)),
            PretrainedNetwork::Resnet34 => FeatureNet::ResNet(ResNet::new(weights, Depth::ThirtyFour)),
            PretrainedNetwork::Resnet50 => FeatureNet::ResNet(ResNet::new(weights, Depth::Fifty)),
            PretrainedNetwork::Resnet101 => FeatureNet::ResNet(ResNet::new(weights, Depth::HundredAndOne)),
            PretrainedNetwork::Squeezenet1_0 => FeatureNet::SqueezeNet(Box::new(SqueezeNet::new(weights))),
        }
    }

    /// D, the length of the features of an image.
    pub fn dimensions(&self) -> usize {
        match self {
            FeatureNet::Classifier(Classifier::AlexNet(_)) => AlexNet::FEATURES,
            FeatureNet::Classifier(Classifier::MiniGoogLeNet(_)) => MiniGoogLeNet::FEATURES,
            FeatureNet::Classifier(Classifier::DeeperGoogLeNet(net)) => net.feature_count(),
            FeatureNet::ResNet(net) => net.feature_count(),
            FeatureNet::SqueezeNet(_) => SqueezeNet::FEATURES,
        }
    }

    /// `[N,3,size,size]` to `[N,D]`, with weights that stay as they are.
    pub fn features(&self, images: &Tensor) -> Tensor {
        match self {
            FeatureNet::Classifier(net) => net.features(images, Mode::Frozen),
            FeatureNet::ResNet(net) => net.features(images, Mode::Frozen),
            FeatureNet::SqueezeNet(net) => net.features(images, Mode::Frozen),
        }
    }
}

#[cfg(test)]
mod tests {
    use packtrain::stage::{Sketch, TensorShape};
    use tch::Device;

    use super::*;
    use crate::weights::Role;

    /// Networks for images of 227×227 pixels and so many classes; what is trained, and that with the running statistics, as
    /// `tests/reference/networks.py` prints it. Of the networks that are complete, Keras 3 counts the same.
    const CLASSIFIERS: [(&str, usize, [usize; 2]); 4] = [
        (r#"{ "alexnet": {} }"#, 2, [58_308_674, 58_327_810]),
        (r#"{ "mini-googlenet": {} }"#, 10, [1_652_826, 1_656_250]),
        (r#"{ "deeper-googlenet": {} }"#, 200, [3_657_992, 3_667_976]),
        (r#"{ "deeper-googlenet": { "modules-4": false } }"#, 200, [771_096, 773_752]),
    ];

    /// The same of torchvision's networks without their heads, and the length of the features.
    const FEATURE_NETS: [(PretrainedNetwork, usize, [usize; 2]); 5] = [
        (PretrainedNetwork::Resnet18, 512, [11_176_512, 11_186_112]),
        (PretrainedNetwork::Resnet34, 512, [21_284_672, 21_301_696]),
        (PretrainedNetwork::Resnet50, 2_048, [23_508_032, 23_561_152]),
        (PretrainedNetwork::Resnet101, 2_048, [42_500_160, 42_605_504]),
        (PretrainedNetwork::Squeezenet1_0, 512, [735_424, 735_424]),
    ];

    /// What is checked and estimated before a run is true of the networks that run.
    #[test]
    fn sketches_have_the_tensors_of_the_networks() {
        let same = |weights: &Weights, sketch: &Sketch| {
            let built = weights.iter().map(|weight| {
                let shape = weight.tensor.size().into_iter().map(|side| side as u64).collect();
                TensorShape { name: weight.name.clone(), shape, is_trained: weight.role != Role::Statistic }
            });
            let mut built: Vec<_> = built.collect();
            let mut sketched = sketch.tensors().to_vec();
            [&mut built, &mut sketched].into_iter().for_each(|list| list.sort_by(|a, b| a.name.cmp(&b.name)));
            assert_eq!(built, sketched);
        };
        for (network, classes, _) in CLASSIFIERS {
            let network: Network = serde_json::from_str(network).unwrap();
            let mut weights = Weights::zero(Device::Cpu);
            Classifier::new(&network, &mut weights, 227, classes);
            same(&weights, &network.sketch(227, classes as u64).unwrap());
        }
        for network in PretrainedNetwork::ALL {
            let mut weights = Weights::zero(Device::Cpu);
            FeatureNet::pretrained(network, &mut weights);
            same(&weights, &network.sketch(PretrainedNetwork::SIZE).unwrap());
        }
    }

    fn count(name: &str, weights: &Weights) -> [usize; 2] {
        let trained = weights.trained().map(|weight| weight.tensor.numel()).sum();
        let all = weights.iter().map(|weight| weight.tensor.numel()).sum();
        println!("{name}: {trained} numbers are trained, {all} with the running statistics");
        [trained, all]
    }

    #[test]
    fn networks_have_as_many_numbers_as_kerass_and_torchvisions() {
        for (network, classes, expected) in CLASSIFIERS {
            let mut weights = Weights::zero(Device::Cpu);
            Classifier::new(&serde_json::from_str(network).unwrap(), &mut weights, 227, classes);
            assert_eq!(count(network, &weights), expected);
        }
        for (network, dimensions, expected) in FEATURE_NETS {
            let mut weights = Weights::zero(Device::Cpu);
            let net = FeatureNet::pretrained(network, &mut weights);
            assert_eq!(count(&format!("{network:?}"), &weights), expected);
            assert_eq!(net.dimensions(), dimensions);
        }
    }
}
