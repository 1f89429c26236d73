//! AlexNet (Krizhevsky, Sutskever and Hinton, 2012) in one column, with batch normalisation.

use tch::Tensor;

use crate::net::layers::{Dense, Mode, conv, dropout, max_pool};
use crate::net::unit::{DenseUnit, Unit, UnitRule};
use crate::weights::Weights;

/// conv → ReLU → norm, five times, then dense → ReLU → norm, twice, and a dense head; or with norm before the activation.
///
/// Tensors: `conv1` … `conv5`, `dense6`, `dense7`, `dense8` with `weight` and `bias`; `norm1` … `norm7` with `weight`, `bias`,
/// `running_mean` and `running_var`.
#[derive(Debug)]
pub struct AlexNet {
    conv1: Unit,
    conv2: Unit,
    conv3: Unit,
    conv4: Unit,
    conv5: Unit,
    dense6: DenseUnit,
    dense7: DenseUnit,
    dense8: Dense,
    dropout: Dropout,
}

/// The fractions dropped.
#[derive(Debug)]
struct Dropout {
    after_pool: f64,
    after_dense: f64,
}

impl AlexNet {
    /// Length of the features.
    pub const FEATURES: usize = 4096;

    /// For images of `size` × `size`, at least 57, which leaves one pixel after the last pooling.
    pub fn new(weights: &mut Weights, size: u32, classes: i64, rule: UnitRule) -> AlexNet {
        let side = side_after_pooling(size);
        let [conv1, conv2, conv3, conv4, conv5] = [
            ("1", conv(3, 96, 11).stride(4)),
            ("2", conv(96, 256, 5)),
            ("3", conv(256, 384, 3)),
            ("4", conv(384, 384, 3)),
            ("5", conv(384, 256, 3)),
        ]
        .map(|(number, shape)| Unit::new(weights, [&format!("conv{number}"), &format!("norm{number}")], shape, rule));
        AlexNet {
            conv1,
            conv2,
            conv3,
            conv4,
            conv5,
            dense6: DenseUnit::new(weights, ["dense6", "norm6"], [side * side * 256, 4096], rule),
            dense7: DenseUnit::new(weights, ["dense7", "norm7"], [4096, 4096], rule),
            dense8: Dense::new(weights, "dense8", 4096, classes),
            dropout: Dropout { after_pool: 0.25, after_dense: 0.5 },
        }
    }

    /// `[N,3,size,size]` to `[N,4096]`, the input of the head. The sizes are those of 227×227 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.conv1.forward(images, mode); // 57×57×96
        let x = dropout(&max_pool(&x, 3, 2), self.dropout.after_pool, mode); // 28×28
        let x = self.conv2.forward(&x, mode); // 28×28×256
        let x = dropout(&max_pool(&x, 3, 2), self.dropout.after_pool, mode); // 13×13
        let x = self.conv3.forward(&x, mode); // 13×13×384
        let x = self.conv4.forward(&x, mode); // 13×13×384
        let x = self.conv5.forward(&x, mode); // 13×13×256
        let x = dropout(&max_pool(&x, 3, 2), self.dropout.after_pool, mode); // 6×6
        let x = x.permute([0, 2, 3, 1]).flatten(1, 3); // 9,216, in the order height, width, channel, as Keras has it
        let x = dropout(&self.dense6.forward(&x, mode), self.dropout.after_dense, mode);
        dropout(&self.dense7.forward(&x, mode), self.dropout.after_dense, mode)
    }

    /// `[N,4096]` features to `[N,classes]`.
    pub fn head(&self, features: &Tensor, mode: Mode) -> Tensor {
        self.dense8.forward(features, mode)
    }
}

fn side_after_pooling(size: u32) -> i64 {
    let pool = |side: u32| side.saturating_sub(3) / 2 + 1;
    pool(pool(pool(size.div_ceil(4)))).into()
}

#[cfg(test)]
mod tests {
    use packtrain::stage::{Activation, NormPlace};
    use tch::{Device, Kind};

    use super::*;
    use crate::net::reference;

    const RELU: UnitRule = UnitRule { activation: Activation::Relu, norm: NormPlace::AfterActivation };

    #[test]
    fn the_smallest_image_leaves_one_pixel() {
        let mut weights = Weights::random(1, Device::Cpu);
        let net = AlexNet::new(&mut weights, 57, 2, RELU);
        let features = net.features(&Tensor::zeros([2, 3, 57, 57], (Kind::Float, Device::Cpu)), Mode::Infer);
        assert_eq!(net.head(&features, Mode::Infer).size(), [2, 2]);
    }

    #[test]
    fn outputs_statistics_and_gradients_are_pytorchs() {
        let elu = UnitRule { activation: Activation::Elu, norm: NormPlace::BeforeActivation };
        for (name, rule) in [("alexnet", RELU), ("alexnet_elu", elu)] {
            reference::compare(name, |weights| {
                let mut net = AlexNet::new(weights, 66, 3, rule);
                net.dropout = Dropout { after_pool: 0.0, after_dense: 0.0 };
                Box::new(move |images, mode| net.head(&net.features(images, mode), mode))
            });
        }
    }
}
