//! MiniGoogLeNet (Zhang, Bengio, Hardt, Recht and Vinyals, 2017, figure 3), for images of about 32×32 pixels.

use tch::Tensor;

use crate::net::layers::{Dense, Mode, conv, dropout, global_mean, max_pool};
use crate::net::unit::{Branch, Unit, UnitRule, join};
use crate::weights::Weights;

/// conv → norm → ReLU everywhere, or with norm last.
///
/// Tensors: the modules are `stem`, `mini1` … `mini8`, `down1`, `down2`; `stem` and the downsampling ones have `conv` and `norm`,
/// the others `conv1x1`, `norm1x1`, `conv3x3` and `norm3x3`. The head is `dense`.
#[derive(Debug)]
pub struct MiniGoogLeNet {
    stem: Unit,
    first: [Mini; 2],
    down1: Downsample,
    second: [Mini; 4],
    down2: Downsample,
    third: [Mini; 2],
    dense: Dense,
    dropout: f64,
}

/// A 1×1 and a 3×3 convolution side by side.
#[derive(Debug)]
struct Mini(Unit, Unit);

/// A 3×3 convolution and a max pooling side by side, both with stride 2.
#[derive(Debug)]
struct Downsample(Unit);

impl MiniGoogLeNet {
    /// Length of the features.
    pub const FEATURES: usize = 336;

    /// For images of at least 7×7, which leaves one pixel after the second downsampling.
    pub fn new(weights: &mut Weights, classes: i64, rule: UnitRule) -> MiniGoogLeNet {
        MiniGoogLeNet {
            stem: Unit::new(weights, ["stem.conv", "stem.norm"], conv(3, 96, 3), rule),
            first: [Mini::new(weights, "mini1", 96, [32, 32], rule), Mini::new(weights, "mini2", 64, [32, 48], rule)],
            down1: Downsample::new(weights, "down1", 80, 80, rule),
            second: [
                Mini::new(weights, "mini3", 160, [112, 48], rule),
                Mini::new(weights, "mini4", 160, [96, 64], rule),
                Mini::new(weights, "mini5", 160, [80, 80], rule),
                Mini::new(weights, "mini6", 160, [48, 96], rule),
            ],
            down2: Downsample::new(weights, "down2", 144, 96, rule),
            third: [Mini::new(weights, "mini7", 240, [176, 160], rule), Mini::new(weights, "mini8", 336, [176, 160], rule)],
            dense: Dense::new(weights, "dense", 336, classes),
            dropout: 0.5,
        }
    }

    /// `[N,3,size,size]` to `[N,336]`, the input of the head. The sizes are those of 32×32 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.stem.forward(images, mode); // 32×32×96
        let x = self.first.iter().fold(x, |x, mini| mini.forward(&x, mode)); // 32×32×80
        let x = self.down1.forward(&x, mode); // 15×15×160
        let x = self.second.iter().fold(x, |x, mini| mini.forward(&x, mode)); // 15×15×144
        let x = self.down2.forward(&x, mode); // 7×7×240
        let x = self.third.iter().fold(x, |x, mini| mini.forward(&x, mode)); // 7×7×336
        dropout(&global_mean(&x), self.dropout, mode)
    }

    /// `[N,336]` features to `[N,classes]`.
    pub fn head(&self, features: &Tensor, mode: Mode) -> Tensor {
        self.dense.forward(features, mode)
    }
}

impl Mini {
    fn new(weights: &mut Weights, name: &str, inputs: i64, [narrow, wide]: [i64; 2], rule: UnitRule) -> Mini {
        let mut branch = |side: i64, outputs| {
            let names = [format!("{name}.conv{side}x{side}"), format!("{name}.norm{side}x{side}")];
            Unit::new(weights, [&names[0], &names[1]], conv(inputs, outputs, side), rule)
        };
        Mini(branch(1, narrow), branch(3, wide))
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        join(&[Branch::Unit(&self.0, x), Branch::Unit(&self.1, x)], mode)
    }
}

impl Downsample {
    fn new(weights: &mut Weights, name: &str, inputs: i64, outputs: i64, rule: UnitRule) -> Downsample {
        let names = [format!("{name}.conv"), format!("{name}.norm")];
        Downsample(Unit::new(weights, [&names[0], &names[1]], conv(inputs, outputs, 3).stride(2).valid(), rule))
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        join(&[Branch::Unit(&self.0, x), Branch::Image(&max_pool(x, 3, 2))], mode)
    }
}

#[cfg(test)]
mod tests {
    use packtrain::stage::{Activation, NormPlace};
    use tch::{Device, Kind};

    use super::*;
    use crate::net::reference;

    const RELU: UnitRule = UnitRule { activation: Activation::Relu, norm: NormPlace::BeforeActivation };

    #[test]
    fn the_smallest_image_leaves_one_pixel() {
        let mut weights = Weights::random(1, Device::Cpu);
        let net = MiniGoogLeNet::new(&mut weights, 10, RELU);
        let features = net.features(&Tensor::zeros([2, 3, 7, 7], (Kind::Float, Device::Cpu)), Mode::Infer);
        assert_eq!(net.head(&features, Mode::Infer).size(), [2, 10]);
    }

    #[test]
    fn outputs_statistics_and_gradients_are_pytorchs() {
        let elu = UnitRule { activation: Activation::Elu, norm: NormPlace::AfterActivation };
        for (name, rule) in [("mini_googlenet", RELU), ("mini_googlenet_elu", elu)] {
            reference::compare(name, |weights| {
                let mut net = MiniGoogLeNet::new(weights, 3, rule);
                net.dropout = 0.0;
                Box::new(move |images, mode| net.head(&net.features(images, mode), mode))
            });
        }
    }
}
