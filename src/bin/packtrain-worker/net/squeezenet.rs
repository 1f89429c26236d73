//! SqueezeNet 1.0 (Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, 2016) without its classifier.

use tch::Tensor;

use crate::kernels::Then;
use crate::net::layers::{Conv, Mode, conv, global_mean, max_pool_ceil};
use crate::weights::Weights;

/// Tensors have torchvision's names: `features.0`, then `features.3.squeeze`, `features.3.expand1x1`, `features.3.expand3x3`
/// and so on, the places of the pools counted.
#[derive(Debug)]
pub struct SqueezeNet {
    stem: Conv,
    wide: [Fire; 3],
    middle: [Fire; 4],
    narrow: Fire,
}

/// A 1×1 convolution to few channels, then a 1×1 and a 3×3 convolution side by side.
#[derive(Debug)]
struct Fire {
    squeeze: Conv,
    expand1x1: Conv,
    expand3x3: Conv,
}

impl SqueezeNet {
    /// Length of the features.
    pub const FEATURES: usize = 512;

    pub fn new(weights: &mut Weights) -> SqueezeNet {
        let stem = Conv::new(weights, "features.0", conv(3, 96, 7).stride(2).valid());
        let mut fire = |place, inputs, squeezed, expanded| Fire::new(weights, place, [inputs, squeezed, expanded]);
        SqueezeNet {
            stem,
            wide: [fire(3, 96, 16, 64), fire(4, 128, 16, 64), fire(5, 128, 32, 128)],
            middle: [fire(7, 256, 32, 128), fire(8, 256, 48, 192), fire(9, 384, 48, 192), fire(10, 384, 64, 256)],
            narrow: fire(12, 512, 64, 256),
        }
    }

    /// `[N,3,size,size]` to `[N,512]`: the mean over all pixels. The sizes are those of 224×224 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = max_pool_ceil(&self.stem.forward_then(images, None, &Then::Relu, mode), 3, 2); // 54×54×96
        let x = self.wide.iter().fold(x, |x, fire| fire.forward(&x, mode)); // 54×54×256
        let x = max_pool_ceil(&x, 3, 2); // 27×27×256
        let x = self.middle.iter().fold(x, |x, fire| fire.forward(&x, mode)); // 27×27×512
        let x = max_pool_ceil(&x, 3, 2); // 13×13×512
        global_mean(&self.narrow.forward(&x, mode))
    }
}

impl Fire {
    fn new(weights: &mut Weights, place: u32, [inputs, squeezed, expanded]: [i64; 3]) -> Fire {
        let mut part = |name, shape| Conv::new(weights, &format!("features.{place}.{name}"), shape);
        Fire {
            squeeze: part("squeeze", conv(inputs, squeezed, 1)),
            expand1x1: part("expand1x1", conv(squeezed, expanded, 1)),
            expand3x3: part("expand3x3", conv(squeezed, expanded, 3)),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let relu = |conv: &Conv, x: &Tensor| conv.forward_then(x, None, &Then::Relu, mode);
        let x = relu(&self.squeeze, x);
        Tensor::cat(&[relu(&self.expand1x1, &x), relu(&self.expand3x3, &x)], 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::reference;

    #[test]
    fn outputs_and_gradients_are_torchvisions() {
        reference::compare("squeezenet1_0", |weights| {
            let net = SqueezeNet::new(weights);
            Box::new(move |images, mode| net.features(images, mode))
        });
    }
}
