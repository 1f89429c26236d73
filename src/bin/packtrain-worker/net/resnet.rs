//! ResNet-50 (He, Zhang, Ren and Sun, 2015) without its head, in torchvision's version 1.5: the stride of a block is in its
//! 3×3 convolution.

use tch::Tensor;

use crate::net::layers::{Conv, ConvShape, Mode, Norm, NormRule, conv, global_mean};
use crate::weights::Weights;

/// Tensors have torchvision's names: `conv1`, `bn1`, `layer1.0.conv1` … `layer4.2.bn3`, `layer1.0.downsample.0` and so on.
#[derive(Debug)]
pub struct ResNet50 {
    stem: ConvNorm,
    blocks: Vec<Bottleneck>,
}

#[derive(Debug)]
struct ConvNorm(Conv, Norm);

/// 1×1 → 3×3 → 1×1, added to its input.
#[derive(Debug)]
struct Bottleneck {
    reduce: ConvNorm,
    window: ConvNorm,
    expand: ConvNorm,
    /// Where the input has another shape than the output.
    downsample: Option<ConvNorm>,
}

/// Channels between the 1×1 convolutions, blocks, and the first block's stride, of each layer.
const LAYERS: [(i64, usize, i64); 4] = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)];
/// Output channels of a block in units of its inner channels.
const EXPANSION: i64 = 4;

impl ResNet50 {
    /// Length of the features.
    pub const FEATURES: usize = 2048;

    pub fn new(weights: &mut Weights) -> ResNet50 {
        let stem = ConvNorm::new(weights, ["conv1", "bn1"], conv(3, 64, 7).stride(2).padding(3));
        let mut inputs = 64;
        let mut blocks = Vec::new();
        for (layer, (width, count, stride)) in LAYERS.into_iter().enumerate() {
            for block in 0..count {
                let name = format!("layer{}.{block}", layer + 1);
                let stride = if block == 0 { stride } else { 1 };
                blocks.push(Bottleneck::new(weights, &name, [inputs, width], stride));
                inputs = width * EXPANSION;
            }
        }
        ResNet50 { stem, blocks }
    }

    /// `[N,3,size,size]` to `[N,2048]`. The sizes are those of 224×224 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.stem.forward(images, mode).relu(); // 112×112×64
        let x = x.max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false); // 56×56×64
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, mode)); // 7×7×2048
        global_mean(&x)
    }
}

impl ConvNorm {
    fn new(weights: &mut Weights, [conv, norm]: [&str; 2], shape: ConvShape) -> ConvNorm {
        let conv = Conv::without_bias(weights, conv, shape);
        ConvNorm(conv, Norm::new(weights, norm, shape.outputs(), NormRule::PYTORCH))
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.1.forward(&self.0.forward(x), mode)
    }
}

impl Bottleneck {
    fn new(weights: &mut Weights, name: &str, [inputs, width]: [i64; 2], stride: i64) -> Bottleneck {
        let mut part = |[conv, norm]: [&str; 2], shape| {
            let names = [format!("{name}.{conv}"), format!("{name}.{norm}")];
            ConvNorm::new(weights, [&names[0], &names[1]], shape)
        };
        let outputs = width * EXPANSION;
        Bottleneck {
            reduce: part(["conv1", "bn1"], conv(inputs, width, 1)),
            window: part(["conv2", "bn2"], conv(width, width, 3).stride(stride).padding(1)),
            expand: part(["conv3", "bn3"], conv(width, outputs, 1)),
            downsample: (inputs != outputs)
                .then(|| part(["downsample.0", "downsample.1"], conv(inputs, outputs, 1).stride(stride).valid())),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let y = self.reduce.forward(x, mode).relu();
        let y = self.window.forward(&y, mode).relu();
        let y = self.expand.forward(&y, mode);
        match &self.downsample {
            Some(downsample) => (y + downsample.forward(x, mode)).relu(),
            None => (y + x).relu(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::net::reference::{self, Reference};

    #[test]
    fn the_network_has_as_many_numbers_as_torchvisions_without_its_head() {
        let mut weights = Weights::zero(Device::Cpu);
        ResNet50::new(&mut weights);
        assert_eq!(weights.trained().map(|weight| weight.tensor.numel()).sum::<usize>(), 23_508_032);
        assert_eq!(weights.iter().map(|weight| weight.tensor.numel()).sum::<usize>(), 23_508_032 + 53_120);
    }

    #[test]
    fn outputs_statistics_and_gradients_are_torchvisions() {
        let mut weights = Weights::zero(Device::Cpu);
        let net = ResNet50::new(&mut weights);
        reference::compare(&mut weights, &Reference::read("resnet50"), &|images, mode| net.features(images, mode));
    }
}
