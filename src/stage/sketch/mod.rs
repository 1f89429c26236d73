//! Networks without numbers: the names and shapes of their tensors, the sizes of images on their way through, and from these
//! how much memory a training takes. The worker builds the networks themselves; its tests compare the two.

mod classifiers;
mod layers;
mod memory;
mod pretrained;

pub use layers::{Sketch, TensorShape};

use crate::stage::{Network, PretrainedNetwork};

impl Network {
    /// The network for images of `size` × `size` pixels; none if nothing of them is left after its last layer.
    pub fn sketch(&self, size: u32, classes: u64) -> Option<Sketch> {
        classifiers::sketch(self, size, classes)
    }
}

impl PretrainedNetwork {
    /// All of them.
    pub const ALL: [PretrainedNetwork; 5] = [
        PretrainedNetwork::Resnet18,
        PretrainedNetwork::Resnet34,
        PretrainedNetwork::Resnet50,
        PretrainedNetwork::Resnet101,
        PretrainedNetwork::Squeezenet1_0,
    ];

    /// The side of the images that its weights are trained with, in pixels.
    pub const SIZE: u32 = 224;

    /// The network without its head, for images of `size` × `size` pixels; none if nothing of them is left after its last layer.
    pub fn sketch(self, size: u32) -> Option<Sketch> {
        pretrained::sketch(self, size)
    }

    /// The least side of an image, in pixels, of which something is left after the last layer.
    pub fn smallest_input(self) -> u32 {
        (1..PretrainedNetwork::SIZE).find(|size| self.sketch(*size).is_some()).unwrap_or(PretrainedNetwork::SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of images of 227×227 pixels: what is trained, and that with the running statistics. `tests/reference/networks.py` prints the
    /// same, and Keras 3 counts it for the networks that are complete.
    #[test]
    fn networks_have_as_many_numbers_as_kerass_and_torchvisions() {
        let classifiers = [
            (r#"{ "alexnet": {} }"#, 2, [58_308_674, 58_327_810]),
            (r#"{ "mini-googlenet": {} }"#, 10, [1_652_826, 1_656_250]),
            (r#"{ "deeper-googlenet": {} }"#, 200, [3_657_992, 3_667_976]),
            (r#"{ "deeper-googlenet": { "modules-4": false } }"#, 200, [771_096, 773_752]),
        ];
        for (network, classes, expected) in classifiers {
            let network: Network = serde_json::from_str(network).unwrap();
            assert_eq!(counts(&network.sketch(227, classes).unwrap()), expected, "{}", network.name());
        }
        let expected =
            [[11_176_512, 11_186_112], [21_284_672, 21_301_696], [23_508_032, 23_561_152], [42_500_160, 42_605_504], [735_424, 735_424]];
        for (network, expected) in PretrainedNetwork::ALL.into_iter().zip(expected) {
            assert_eq!(counts(&network.sketch(224).unwrap()), expected, "{}", network.name());
        }
    }

    #[test]
    fn an_image_that_is_too_small_leaves_nothing() {
        for network in [r#"{ "alexnet": {} }"#, r#"{ "mini-googlenet": {} }"#, r#"{ "deeper-googlenet": {} }"#] {
            let network: Network = serde_json::from_str(network).unwrap();
            let smallest = network.smallest_input();
            assert!(network.sketch(smallest, 2).is_some(), "{}", network.name());
            assert!(network.sketch(smallest - 1, 2).is_none(), "{}", network.name());
        }
        // `torchvision.models.squeezenet1_0().features(torch.zeros(1, 3, 21, 21))` works, with 20 pixels it does not; a ResNet takes
        // any image.
        assert_eq!(PretrainedNetwork::Squeezenet1_0.smallest_input(), 21);
        assert_eq!(PretrainedNetwork::Resnet50.smallest_input(), 1);
    }

    fn counts(sketch: &Sketch) -> [u64; 2] {
        let trained = sketch.tensors().iter().filter(|tensor| tensor.is_trained);
        [trained.map(TensorShape::numbers).sum(), sketch.tensors().iter().map(TensorShape::numbers).sum()]
    }
}
