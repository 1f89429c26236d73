//! The networks, one file each. A network is a plain struct of layers whose tensors have documented names.

mod alexnet;
mod layers;
mod mini_googlenet;
#[cfg(test)]
mod reference;
mod resnet;
mod squeezenet;

use packtrain::stage::{Network, PretrainedNetwork};
use tch::Tensor;

use crate::net::alexnet::AlexNet;
pub use crate::net::layers::Mode;
use crate::net::mini_googlenet::MiniGoogLeNet;
use crate::net::resnet::ResNet50;
use crate::net::squeezenet::SqueezeNet;
use crate::weights::Weights;

/// A network that classifies: features, then a dense head.
#[derive(Debug)]
pub enum Classifier {
    AlexNet(Box<AlexNet>),
    MiniGoogLeNet(Box<MiniGoogLeNet>),
}

/// A network that is used for its features alone.
#[derive(Debug)]
pub enum FeatureNet {
    Classifier(Classifier),
    ResNet50(Box<ResNet50>),
    SqueezeNet(Box<SqueezeNet>),
}

impl Classifier {
    /// For images of `size` × `size`. Its tensors are added to `weights`.
    pub fn new(network: &Network, weights: &mut Weights, size: u32, classes: usize) -> Classifier {
        let classes = classes as i64;
        match network {
            Network::Alexnet { .. } => Classifier::AlexNet(Box::new(AlexNet::new(weights, size, classes))),
            Network::MiniGooglenet { .. } => Classifier::MiniGoogLeNet(Box::new(MiniGoogLeNet::new(weights, classes))),
        }
    }

    /// The input of the head: `[N,3,size,size]` to `[N,D]`.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        match self {
            Classifier::AlexNet(net) => net.features(images, mode),
            Classifier::MiniGoogLeNet(net) => net.features(images, mode),
        }
    }

    /// `[N,3,size,size]` to `[N,classes]`.
    pub fn logits(&self, images: &Tensor, mode: Mode) -> Tensor {
        let features = self.features(images, mode);
        match self {
            Classifier::AlexNet(net) => net.head(&features),
            Classifier::MiniGoogLeNet(net) => net.head(&features),
        }
    }
}

impl FeatureNet {
    /// A network with torchvision's tensor names. Its tensors are added to `weights`.
    pub fn pretrained(network: PretrainedNetwork, weights: &mut Weights) -> FeatureNet {
        match network {
            PretrainedNetwork::Resnet50 => FeatureNet::ResNet50(Box::new(ResNet50::new(weights))),
            PretrainedNetwork::Squeezenet1_0 => FeatureNet::SqueezeNet(Box::new(SqueezeNet::new(weights))),
        }
    }

    /// D, the length of the features of an image.
    pub fn dimensions(&self) -> usize {
        match self {
            FeatureNet::Classifier(Classifier::AlexNet(_)) => AlexNet::FEATURES,
            FeatureNet::Classifier(Classifier::MiniGoogLeNet(_)) => MiniGoogLeNet::FEATURES,
            FeatureNet::ResNet50(_) => ResNet50::FEATURES,
            FeatureNet::SqueezeNet(_) => SqueezeNet::FEATURES,
        }
    }

    /// `[N,3,size,size]` to `[N,D]`, without training.
    pub fn features(&self, images: &Tensor) -> Tensor {
        match self {
            FeatureNet::Classifier(net) => net.features(images, Mode::Infer),
            FeatureNet::ResNet50(net) => net.features(images, Mode::Infer),
            FeatureNet::SqueezeNet(net) => net.features(images),
        }
    }
}
