//! AlexNet (Krizhevsky, Sutskever and Hinton, 2012) in one column, with batch normalisation after every activation.

use tch::Tensor;

use crate::net::layers::{Conv, ConvShape, Dense, Mode, Norm, NormRule, conv, dropout, max_pool};
use crate::weights::Weights;

/// conv → ReLU → norm, five times, then dense → ReLU → norm, twice, and a dense head.
///
/// Tensors: `conv1` … `conv5`, `dense6`, `dense7`, `dense8` with `weight` and `bias`; `norm1` … `norm7` with `weight`, `bias`,
/// `running_mean` and `running_var`.
#[derive(Debug)]
pub struct AlexNet {
    conv1: ConvReluNorm,
    conv2: ConvReluNorm,
    conv3: ConvReluNorm,
    conv4: ConvReluNorm,
    conv5: ConvReluNorm,
    dense6: DenseReluNorm,
    dense7: DenseReluNorm,
    dense8: Dense,
    dropout: Dropout,
}

#[derive(Debug)]
struct ConvReluNorm(Conv, Norm);

#[derive(Debug)]
struct DenseReluNorm(Dense, Norm);

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
    pub fn new(weights: &mut Weights, size: u32, classes: i64) -> AlexNet {
        let side = side_after_pooling(size);
        AlexNet {
            conv1: ConvReluNorm::new(weights, 1, conv(3, 96, 11).stride(4)),
            conv2: ConvReluNorm::new(weights, 2, conv(96, 256, 5)),
            conv3: ConvReluNorm::new(weights, 3, conv(256, 384, 3)),
            conv4: ConvReluNorm::new(weights, 4, conv(384, 384, 3)),
            conv5: ConvReluNorm::new(weights, 5, conv(384, 256, 3)),
            dense6: DenseReluNorm::new(weights, 6, side * side * 256),
            dense7: DenseReluNorm::new(weights, 7, 4096),
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
    pub fn head(&self, features: &Tensor) -> Tensor {
        self.dense8.forward(features)
    }
}

impl ConvReluNorm {
    fn new(weights: &mut Weights, number: u32, shape: ConvShape) -> ConvReluNorm {
        let conv = Conv::new(weights, &format!("conv{number}"), shape);
        ConvReluNorm(conv, Norm::new(weights, &format!("norm{number}"), shape.outputs(), NormRule::KERAS))
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.1.forward(&self.0.forward(x).relu(), mode)
    }
}

impl DenseReluNorm {
    fn new(weights: &mut Weights, number: u32, inputs: i64) -> DenseReluNorm {
        let dense = Dense::new(weights, &format!("dense{number}"), inputs, 4096);
        DenseReluNorm(dense, Norm::new(weights, &format!("norm{number}"), 4096, NormRule::KERAS))
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.1.forward(&self.0.forward(x).relu(), mode)
    }
}

fn side_after_pooling(size: u32) -> i64 {
    let pool = |side: u32| side.saturating_sub(3) / 2 + 1;
    pool(pool(pool(size.div_ceil(4)))).into()
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::net::reference::{self, Reference};

    #[test]
    fn the_network_for_two_classes_has_58_327_810_numbers() {
        let mut weights = Weights::zero(Device::Cpu);
        AlexNet::new(&mut weights, 227, 2);
        assert_eq!(weights.iter().map(|weight| weight.tensor.numel()).sum::<usize>(), 58_327_810);
        assert_eq!(weights.trained().map(|weight| weight.tensor.numel()).sum::<usize>(), 58_308_674);
    }

    #[test]
    fn the_smallest_image_leaves_one_pixel() {
        let mut weights = Weights::random(1, Device::Cpu);
        let net = AlexNet::new(&mut weights, 57, 2);
        let features = net.features(&Tensor::zeros([2, 3, 57, 57], (Kind::Float, Device::Cpu)), Mode::Infer);
        assert_eq!(net.head(&features).size(), [2, 2]);
    }

    #[test]
    fn outputs_statistics_and_gradients_are_pytorchs() {
        let mut weights = Weights::zero(Device::Cpu);
        let mut net = AlexNet::new(&mut weights, 66, 3);
        net.dropout = Dropout { after_pool: 0.0, after_dense: 0.0 };
        let forward = |images: &Tensor, mode| net.head(&net.features(images, mode));
        reference::compare(&mut weights, &Reference::read("alexnet"), &forward);
    }
}
