//! ResNet (He, Zhang, Ren and Sun, 2015) without its head, in torchvision's version 1.5: the stride of a bottleneck is in its
//! 3×3 convolution.

use tch::Tensor;

use crate::kernels::Then;
use crate::net::layers::{Conv, ConvShape, Mode, Norm, NormRule, conv, global_mean, max_pool_padded};
use crate::weights::Weights;

/// Tensors have torchvision's names: `conv1`, `bn1`, `layer1.0.conv1` … `layer4.2.bn3`, `layer1.0.downsample.0` and so on.
#[derive(Debug)]
pub struct ResNet {
    stem: ConvNorm,
    blocks: Vec<Block>,
    feature_count: usize,
}

/// How many layers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Eighteen,
    ThirtyFour,
    Fifty,
    HundredAndOne,
}

#[derive(Debug)]
struct ConvNorm(Conv, Norm);

/// Convolutions in a row, added to their input.
#[derive(Debug)]
struct Block {
    row: Vec<ConvNorm>,
    /// Where the input has another shape than the output.
    downsample: Option<ConvNorm>,
}

/// The convolutions of a block.
#[derive(Debug, Clone, Copy)]
enum BlockKind {
    /// 3×3 → 3×3.
    Basic,
    /// 1×1 → 3×3 → 1×1, the last to four times as many channels.
    Bottleneck,
}

/// The inner channels of a block and the first block's stride, of each layer.
const LAYERS: [(i64, i64); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

impl Depth {
    /// The blocks, and how many of them each layer has.
    fn blocks(self) -> (BlockKind, [usize; 4]) {
        match self {
            Depth::Eighteen => (BlockKind::Basic, [2, 2, 2, 2]),
            Depth::ThirtyFour => (BlockKind::Basic, [3, 4, 6, 3]),
            Depth::Fifty => (BlockKind::Bottleneck, [3, 4, 6, 3]),
            Depth::HundredAndOne => (BlockKind::Bottleneck, [3, 4, 23, 3]),
        }
    }
}

impl ResNet {
    pub fn new(weights: &mut Weights, depth: Depth) -> ResNet {
        let (kind, counts) = depth.blocks();
        let stem = ConvNorm::new(weights, ["conv1", "bn1"], conv(3, 64, 7).stride(2).padding(3));
        let mut inputs = 64;
        let mut blocks = Vec::new();
        for (layer, ((width, stride), count)) in LAYERS.into_iter().zip(counts).enumerate() {
            for block in 0..count {
                let name = format!("layer{}.{block}", layer + 1);
                let stride = if block == 0 { stride } else { 1 };
                let row = kind.row([inputs, width], stride);
                blocks.push(Block::new(weights, &name, inputs, &row, stride));
                inputs = row.last().map_or(inputs, |shape| shape.outputs());
            }
        }
        ResNet { stem, blocks, feature_count: inputs as usize }
    }

    /// `[N,3,size,size]` to `[N,D]`. The sizes are those of 224×224 images.
    pub fn features(&self, images: &Tensor, mode: Mode) -> Tensor {
        let x = self.stem.forward(images, &Then::Relu, mode); // 112×112×64
        let x = max_pool_padded(&x, 3, 2, 1); // 56×56×64
        let x = self.blocks.iter().fold(x, |x, block| block.forward(&x, mode)); // 7×7×512 or 7×7×2048
        global_mean(&x)
    }

    /// D, the length of the features.
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }
}

impl BlockKind {
    fn row(self, [inputs, width]: [i64; 2], stride: i64) -> Vec<ConvShape> {
        match self {
            BlockKind::Basic => vec![conv(inputs, width, 3).stride(stride).padding(1), conv(width, width, 3)],
            BlockKind::Bottleneck => {
                vec![conv(inputs, width, 1), conv(width, width, 3).stride(stride).padding(1), conv(width, 4 * width, 1)]
            }
        }
    }
}

impl ConvNorm {
    fn new(weights: &mut Weights, [conv, norm]: [&str; 2], shape: ConvShape) -> ConvNorm {
        let conv = Conv::without_bias(weights, conv, shape);
        ConvNorm(conv, Norm::new(weights, norm, shape.outputs(), NormRule::PYTORCH))
    }

    fn forward(&self, x: &Tensor, then: &Then, mode: Mode) -> Tensor {
        self.0.forward_then(x, Some(&self.1), then, mode)
    }
}

impl Block {
    fn new(weights: &mut Weights, name: &str, inputs: i64, row: &[ConvShape], stride: i64) -> Block {
        let outputs = row.last().map_or(inputs, |shape| shape.outputs());
        let mut part = |[conv, norm]: [String; 2], shape| {
            let names = [format!("{name}.{conv}"), format!("{name}.{norm}")];
            ConvNorm::new(weights, [&names[0], &names[1]], shape)
        };
        let numbered = row.iter().zip(1..);
        let row = numbered.map(|(&shape, number)| part([format!("conv{number}"), format!("bn{number}")], shape)).collect();
        let downsample = (inputs != outputs || stride != 1)
            .then(|| part(["downsample.0".into(), "downsample.1".into()], conv(inputs, outputs, 1).stride(stride).valid()));
        Block { row, downsample }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let shortcut = self.downsample.as_ref().map_or_else(|| x.shallow_clone(), |part| part.forward(x, &Then::Nothing, mode));
        let Some((last, row)) = self.row.split_last() else { return shortcut };
        let y = row.iter().fold(x.shallow_clone(), |y, part| part.forward(&y, &Then::Relu, mode));
        // What came in is not needed any more once the last convolution writes over it.
        last.forward(&y, &Then::AddAndRelu(shortcut), mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::reference;

    #[test]
    fn outputs_statistics_and_gradients_are_torchvisions() {
        let depths = [
            ("resnet18", Depth::Eighteen),
            ("resnet34", Depth::ThirtyFour),
            ("resnet50", Depth::Fifty),
            ("resnet101", Depth::HundredAndOne),
        ];
        for (name, depth) in depths {
            reference::compare(name, |weights| {
                let net = ResNet::new(weights, depth);
                Box::new(move |images, mode| net.features(images, mode))
            });
        }
    }
}
