//! DeeperGoogLeNet: GoogLeNet (Szegedy et al., 2015) made shallower and with smaller steps, for images of about 64×64 pixels.

use tch::Tensor;

use crate::net::layers::{Dense, Mode, conv, dropout, global_mean, max_pool_same};
use crate::net::unit::{Branch, Unit, UnitRule, join};
use crate::weights::Weights;

/// conv → norm → activation everywhere, or with norm last.
///
/// Tensors: `conv1` … `conv3`, and in each of `inception3a` … `inception4e` the parts `1x1`, `3x3reduce`, `3x3`, `5x5reduce`,
/// `5x5` and `pool`, all with `conv` and `norm`. The head is `dense`.
#[derive(Debug)]
pub struct DeeperGoogLeNet {
    conv1: Unit,
    conv2: Unit,
    conv3: Unit,
    third: Vec<Inception>,
    fourth: Vec<Inception>,
    dense: Dense,
    channels: i64,
    dropout: f64,
}

/// Four branches side by side: 1×1, 1×1 → 3×3, 1×1 → 5×5, and max pooling → 1×1.
#[derive(Debug)]
struct Inception {
    one: Unit,
    three: [Unit; 2],
    five: [Unit; 2],
    pool: Unit,
}

/// A module's name and the channels of its convolutions: 1×1; 1×1 and 3×3; 1×1 and 5×5; 1×1 after the pooling.
type Module = (&'static str, i64, [i64; 2], [i64; 2], i64);

const THIRD: [Module; 2] = [
    ("inception3a", 64, [96, 128], [16, 32], 32),   // 256
    ("inception3b", 128, [128, 192], [32, 96], 64), // 480
];
const FOURTH: [Module; 5] = [
    ("inception4a", 192, [96, 208], [16, 48], 64),    // 512
    ("inception4b", 160, [112, 224], [24, 64], 64),   // 512
    ("inception4c", 128, [128, 256], [24, 64], 64),   // 512
    ("inception4d", 112, [144, 288], [32, 64], 64),   // 528
    ("inception4e", 256, [160, 320], [32, 128], 128), // 832
];

impl DeeperGoogLeNet {
    /// With the modules 4a to 4e or without them. Any size of image will do.
    pub fn new(weights: &mut Weights, classes: i64, rule: UnitRule, modules_4: bool) -> DeeperGoogLeNet {
        let mut channels = 192;
        let [conv1, conv2, conv3] = [("conv1", conv(3, 64, 5)), ("conv2", conv(64, 64, 1)), ("conv3", conv(64, channels, 3))]
            .map(|(name, shape)| Unit::new(weights, [&format!("{name}.conv"), &format!("{name}.norm")], shape, rule));
        let mut inception = |module| {
            let inception = Inception::new(weights, channels, module, rule);
            channels = outputs(module);
            inception
        };
        let third = THIRD.iter().map(&mut inception).collect();
        let fourth = FOURTH.iter().filter(|_| modules_4).map(&mut inception).collect();
        let dense = Dense::new(weights, "dense", channels, classes);
        DeeperGoogLeNet { conv1, conv2, conv3, third, fourth, dense, channels, dropout: 0.4 }
    }

    /// `[N,3,size,size]` to `[N,832]`, or `[N,480]` without the fourth modules. The sizes are those of 64×64 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = max_pool_same(&self.conv1.forward(images, mode), 2); // 32×32×64
        let x = self.conv3.forward(&self.conv2.forward(&x, mode), mode); // 32×32×192
        let x = max_pool_same(&x, 2); // 16×16×192
        let x = self.third.iter().fold(x, |x, module| module.forward(&x, mode)); // 16×16×480
        let x = max_pool_same(&x, 2); // 8×8×480
        let x = self.fourth.iter().fold(x, |x, module| module.forward(&x, mode)); // 8×8×832
        let x = max_pool_same(&x, 2); // 4×4×832
        dropout(&global_mean(&x), self.dropout, mode)
    }

    /// Features to `[N,classes]`.
    pub fn head(&self, features: &Tensor, mode: Mode) -> Tensor {
        self.dense.forward(features, mode)
    }

    /// Length of the features.
    pub fn feature_count(&self) -> usize {
        self.channels as usize
    }
}

impl Inception {
    fn new(weights: &mut Weights, inputs: i64, &(module, one, three, five, pool): &Module, rule: UnitRule) -> Inception {
        let mut unit = |part: &str, inputs, outputs, side| {
            let names = ["conv", "norm"].map(|layer| format!("{module}.{part}.{layer}"));
            Unit::new(weights, [&names[0], &names[1]], conv(inputs, outputs, side), rule)
        };
        Inception {
            one: unit("1x1", inputs, one, 1),
            three: [unit("3x3reduce", inputs, three[0], 1), unit("3x3", three[0], three[1], 3)],
            five: [unit("5x5reduce", inputs, five[0], 1), unit("5x5", five[0], five[1], 5)],
            pool: unit("pool", inputs, pool, 1),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let [three, five] = [&self.three[0], &self.five[0]].map(|reduce| reduce.forward(x, mode));
        let pooled = max_pool_same(x, 1);
        let (three, five) = (Branch::Unit(&self.three[1], &three), Branch::Unit(&self.five[1], &five));
        join(&[Branch::Unit(&self.one, x), three, five, Branch::Unit(&self.pool, &pooled)], mode)
    }
}

fn outputs(&(_, one, three, five, pool): &Module) -> i64 {
    one + three[1] + five[1] + pool
}

#[cfg(test)]
mod tests {
    use packtrain::stage::{Activation, NormPlace};
    use tch::{Device, Kind};

    use super::*;
    use crate::net::reference;

    const RELU: UnitRule = UnitRule { activation: Activation::Relu, norm: NormPlace::BeforeActivation };

    #[test]
    fn any_image_leaves_a_pixel() {
        let mut weights = Weights::random(1, Device::Cpu);
        let net = DeeperGoogLeNet::new(&mut weights, 10, RELU, false);
        let features = net.features(&Tensor::zeros([2, 3, 1, 1], (Kind::Float, Device::Cpu)), Mode::Infer);
        assert_eq!(features.size(), [2, net.feature_count() as i64]);
        assert_eq!(net.head(&features, Mode::Infer).size(), [2, 10]);
    }

    #[test]
    fn outputs_statistics_and_gradients_are_pytorchs() {
        let elu = UnitRule { activation: Activation::Elu, norm: NormPlace::AfterActivation };
        for (name, rule, modules_4) in [("deeper_googlenet", RELU, true), ("deeper_googlenet_elu", elu, false)] {
            reference::compare(name, |weights| {
                let mut net = DeeperGoogLeNet::new(weights, 3, rule, modules_4);
                net.dropout = 0.0;
                Box::new(move |images, mode| net.head(&net.features(images, mode), mode))
            });
        }
    }
}
