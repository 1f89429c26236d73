//! The layers that networks are made of. Images are `[N,C,H,W]` lying in memory as channels-last. A layer computes with numbers of
//! the kind of its input, fp32 or bf16; its own tensors are fp32.

use std::cell::OnceCell;

use tch::{Device, Kind, Tensor};

use crate::kernels::{self, BranchNorm, MaxPool, ReluPlace, Then, Window};
use crate::weights::Weights;

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Normalisation uses the batch's own statistics, and dropout drops.
    Train,
    /// To see how far a training is.
    Infer,
    /// As `Infer`, with weights that change no more: what follows from them is computed once. Without gradients.
    Frozen,
}

/// A convolution: `{name}.weight` `[out, in, side, side]` and, if it has one, `{name}.bias` `[out]`.
#[derive(Debug)]
pub struct Conv {
    shape: ConvShape,
    kernel: Tensor,
    bias: Option<Tensor>,
    frozen: OnceCell<FrozenConv>,
}

/// A kernel and a bias into which the normalisation that follows is drawn, as numbers of the kind that images have.
#[derive(Debug)]
struct FrozenConv {
    kernel: Tensor,
    bias: Tensor,
    /// Whether the kernel lies as oneDNN wants it.
    is_packed: bool,
}

/// The dimensions of a convolution with a square window.
#[derive(Debug, Clone, Copy)]
pub struct ConvShape {
    inputs: i64,
    outputs: i64,
    side: i64,
    stride: i64,
    padding: Padding,
}

/// Zeros around an image.
#[derive(Debug, Clone, Copy)]
enum Padding {
    /// So that the output has ceil(side / stride) pixels a side, an odd zero at the end: TensorFlow's and Keras' `same`.
    Same,
    /// This many on every side.
    Each(i64),
}

/// A batch normalisation: `{name}.weight`, `.bias`, `.running_mean`, `.running_var`, each `[channels]`.
#[derive(Debug)]
pub struct Norm {
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    rule: NormRule,
}

/// The constants of a batch normalisation.
#[derive(Debug, Clone, Copy)]
pub struct NormRule {
    eps: f64,
    /// The weight of a batch in the running statistics.
    momentum: f64,
}

/// A dense layer: `{name}.weight` `[out, in]` and `{name}.bias` `[out]`.
#[derive(Debug)]
pub struct Dense {
    kernel: Tensor,
    bias: Tensor,
    /// Both, as numbers of the kind that inputs have.
    frozen: OnceCell<[Tensor; 2]>,
}

/// A convolution from `inputs` to `outputs` channels, `side`×`side`, stride 1, `same` padding.
pub const fn conv(inputs: i64, outputs: i64, side: i64) -> ConvShape {
    ConvShape { inputs, outputs, side, stride: 1, padding: Padding::Same }
}

impl ConvShape {
    /// With another stride.
    pub const fn stride(self, stride: i64) -> ConvShape {
        ConvShape { stride, ..self }
    }

    /// With `zeros` zeros on every side.
    pub const fn padding(self, zeros: i64) -> ConvShape {
        ConvShape { padding: Padding::Each(zeros), ..self }
    }

    /// Without padding.
    pub const fn valid(self) -> ConvShape {
        self.padding(0)
    }

    /// Channels of the output.
    pub const fn outputs(self) -> i64 {
        self.outputs
    }

    /// Zeros before and after a side of `length` pixels.
    fn zeros(&self, length: i64) -> (i64, i64) {
        match self.padding {
            Padding::Each(zeros) => (zeros, zeros),
            Padding::Same => {
                let outputs = (length + self.stride - 1) / self.stride;
                let all = ((outputs - 1) * self.stride + self.side - length).max(0);
                (all / 2, all - all / 2)
            }
        }
    }
}

impl Conv {
    /// With a bias.
    pub fn new(weights: &mut Weights, name: &str, shape: ConvShape) -> Conv {
        let mut conv = Conv::without_bias(weights, name, shape);
        conv.bias = Some(weights.offset(format!("{name}.bias"), shape.outputs, 0.0));
        conv
    }

    /// Without a bias, as in front of a normalisation that adds one.
    pub fn without_bias(weights: &mut Weights, name: &str, shape: ConvShape) -> Conv {
        let kernel = weights.kernel(format!("{name}.weight"), &[shape.outputs, shape.inputs, shape.side, shape.side]);
        Conv { shape, kernel, bias: None, frozen: OnceCell::new() }
    }

    /// `[N, in, H, W]` to `[N, out, H', W']`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.convolve(x, self.bias.as_ref())
    }

    /// The same, but for the bias.
    pub fn forward_without_bias(&self, x: &Tensor) -> Tensor {
        self.convolve(x, None)
    }

    /// `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The convolution, the normalisation if there is one, which must always be the same, and what follows. Fast if the mode is
    /// `Frozen`.
    pub fn forward_then(&self, x: &Tensor, norm: Option<&Norm>, then: &Then, mode: Mode) -> Tensor {
        if mode == Mode::Frozen {
            let (x, padding) = self.padded(x);
            let window = Window { padding, stride: self.shape.stride };
            return self.frozen.get_or_init(|| self.freeze(norm, window, &x)).forward_then(&x, window, then);
        }
        let y = self.forward(x);
        let y = norm.map_or_else(|| y.shallow_clone(), |norm| norm.forward(&y, mode));
        match then {
            Then::Nothing => y,
            Then::Relu => y.relu(),
            Then::AddAndRelu(image) => (y + image).relu(),
        }
    }

    /// factor * (kernel * x + bias) + offset = (factor * kernel) * x + (factor * bias + offset).
    fn freeze(&self, norm: Option<&Norm>, window: Window, x: &Tensor) -> FrozenConv {
        let zeros = || Tensor::zeros([self.shape.outputs], (self.kernel.kind(), self.kernel.device()));
        let bias = self.bias.as_ref().map_or_else(zeros, Tensor::detach);
        let kernel = self.kernel.detach();
        let (kernel, bias) = match norm.map(Norm::factor_and_offset) {
            Some((factor, offset)) => (kernel * factor.view([-1, 1, 1, 1]), bias * factor + offset),
            None => (kernel, bias),
        };
        let (kernel, bias) = (kernel.to_kind(x.kind()), bias.to_kind(x.kind()));
        let is_packed = x.device() == Device::Cpu && kernels::can_convolve(x.kind());
        let kernel = if is_packed { kernels::pack_kernel(&kernel, window, x) } else { kernel };
        FrozenConv { kernel, bias, is_packed }
    }

    fn convolve(&self, x: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let (x, zeros) = self.padded(x);
        let kernel = self.kernel.to_kind(x.kind());
        let bias = bias.map(|bias| bias.to_kind(x.kind()));
        x.conv2d(&kernel, bias.as_ref(), [self.shape.stride; 2], [zeros; 2], [1, 1], 1)
    }

    /// Square images, and the zeros that are still to be put on every side: libtorch does not know of an odd one.
    fn padded(&self, x: &Tensor) -> (Tensor, i64) {
        let size = x.size();
        let ((top, bottom), (left, right)) = (self.shape.zeros(size[2]), self.shape.zeros(size[3]));
        if [top, bottom] == [left; 2] && left == right {
            return (x.shallow_clone(), top);
        }
        (x.constant_pad_nd([left, right, top, bottom]), 0)
    }
}

impl FrozenConv {
    fn forward_then(&self, x: &Tensor, window: Window, then: &Then) -> Tensor {
        let FrozenConv { kernel, bias, is_packed } = self;
        if *is_packed {
            return kernels::convolve(x, [kernel, bias], window, then);
        }
        let mut y = x.conv2d(kernel, Some(bias), [window.stride; 2], [window.padding; 2], [1, 1], 1);
        match then {
            Then::Nothing => y,
            Then::Relu => y.relu_(),
            Then::AddAndRelu(image) => {
                y += image;
                y.relu_()
            }
        }
    }
}

impl NormRule {
    /// Keras' defaults (its momentum 0.99 is the weight of the past).
    pub const KERAS: NormRule = NormRule { eps: 1e-3, momentum: 0.01 };
    /// PyTorch's defaults.
    pub const PYTORCH: NormRule = NormRule { eps: 1e-5, momentum: 0.1 };

    /// The rule of our own kernels, which do the ReLU too.
    pub fn with_relu(self, relu: ReluPlace) -> kernels::NormRule {
        kernels::NormRule { relu, eps: self.eps, momentum: self.momentum }
    }
}

impl Norm {
    pub fn new(weights: &mut Weights, name: &str, channels: i64, rule: NormRule) -> Norm {
        Norm {
            scale: weights.offset(format!("{name}.weight"), channels, 1.0),
            shift: weights.offset(format!("{name}.bias"), channels, 0.0),
            mean: weights.statistic(format!("{name}.running_mean"), channels, 0.0),
            variance: weights.statistic(format!("{name}.running_var"), channels, 1.0),
            rule,
        }
    }

    /// What a normalisation by the running statistics multiplies with and adds.
    fn factor_and_offset(&self) -> (Tensor, Tensor) {
        let factor = (self.scale.detach() / (&self.variance + self.rule.eps).sqrt()).detach();
        let offset = self.shift.detach() - &self.mean * &factor;
        (factor, offset)
    }

    /// The tensors, for our own kernels.
    pub fn branch<'a>(&'a self, bias: Option<&'a Tensor>) -> BranchNorm<'a> {
        BranchNorm { scale: &self.scale, shift: &self.shift, mean: &self.mean, variance: &self.variance, bias }
    }

    /// `[N, channels, …]` to the same shape.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let (scale, shift) = (Some(&self.scale), Some(&self.shift));
        let (mean, variance) = (Some(&self.mean), Some(&self.variance));
        x.batch_norm(scale, shift, mean, variance, mode == Mode::Train, self.rule.momentum, self.rule.eps, true)
    }
}

impl Dense {
    pub fn new(weights: &mut Weights, name: &str, inputs: i64, outputs: i64) -> Dense {
        let kernel = weights.kernel(format!("{name}.weight"), &[outputs, inputs]);
        Dense { kernel, bias: weights.offset(format!("{name}.bias"), outputs, 0.0), frozen: OnceCell::new() }
    }

    /// `[N, in]` to `[N, out]`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let converted = || [&self.kernel, &self.bias].map(|tensor| tensor.to_kind(x.kind()));
        if mode == Mode::Frozen {
            let [kernel, bias] = self.frozen.get_or_init(converted);
            return x.linear(kernel, Some(bias));
        }
        let [kernel, bias] = converted();
        x.linear(&kernel, Some(&bias))
    }
}

/// Max pooling over `side`×`side` windows, cut off at the border.
pub fn max_pool(x: &Tensor, side: i64, stride: i64) -> Tensor {
    pool(x, MaxPool { side, stride, padding: 0, ceil: false })
}

/// Max pooling over `side`×`side` windows, of which the last may reach over the border.
pub fn max_pool_ceil(x: &Tensor, side: i64, stride: i64) -> Tensor {
    pool(x, MaxPool { side, stride, padding: 0, ceil: true })
}

/// Max pooling over `side`×`side` windows of images with so many pixels of nothing on every side.
pub fn max_pool_padded(x: &Tensor, side: i64, stride: i64, padding: i64) -> Tensor {
    pool(x, MaxPool { side, stride, padding, ceil: false })
}

/// Max pooling over 3×3 windows with `same` padding: of `n` pixels a side, ceil(n / stride) remain, an odd border at the end. The
/// images are square.
pub fn max_pool_same(x: &Tensor, stride: i64) -> Tensor {
    let side = conv(1, 1, 3).stride(stride);
    let (before, after) = side.zeros(x.size()[2]);
    // Padding is the same on both sides in libtorch; one pixel more at the end is what `ceil_mode` adds.
    pool(x, MaxPool { side: 3, stride, padding: before, ceil: after > before })
}

fn pool(x: &Tensor, pool: MaxPool) -> Tensor {
    if x.device() == Device::Cpu {
        return kernels::max_pool(x, pool);
    }
    x.max_pool2d([pool.side; 2], [pool.stride; 2], [pool.padding; 2], [1; 2], pool.ceil)
}

/// The mean over all pixels: `[N,C,H,W]` to `[N,C]`, of bf16 in fp32.
pub fn global_mean(x: &Tensor) -> Tensor {
    let kind = if x.kind() == Kind::BFloat16 { Kind::Float } else { x.kind() };
    x.mean_dim([2_i64, 3].as_slice(), false, kind)
}

/// Sets a fraction of the numbers to zero and scales the others up, in training.
pub fn dropout(x: &Tensor, fraction: f64, mode: Mode) -> Tensor {
    x.dropout(fraction, mode == Mode::Train)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tf.keras.layers.Conv2D(1, 11, strides=4, padding="same")` pads in total `max((ceil(n/4) - 1) * 4 + 11 - n, 0)`, the
    /// smaller half first (TensorFlow's documentation of `tf.nn.convolution`).
    #[test]
    fn same_padding_is_tensorflows() {
        let conv1 = conv(3, 96, 11).stride(4);
        assert_eq!(conv1.zeros(227), (4, 4));
        assert_eq!(conv1.zeros(64), (3, 4));
        assert_eq!(conv1.zeros(62), (4, 5));
        assert_eq!(conv(3, 96, 3).zeros(32), (1, 1));
        assert_eq!(conv(3, 96, 1).zeros(32), (0, 0));
    }
}
