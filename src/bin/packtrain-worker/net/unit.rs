//! What most layers of the classifiers are: a convolution or a dense layer, an activation, and a normalisation on one side of it.

use packtrain::stage::{Activation, NormPlace};
use tch::Tensor;

use crate::net::layers::{Conv, ConvShape, Dense, Mode, Norm, NormRule};
use crate::weights::Weights;

/// What follows a convolution or a dense layer.
#[derive(Debug, Clone, Copy)]
pub struct UnitRule {
    pub activation: Activation,
    pub norm: NormPlace,
}

/// A convolution with what follows it.
#[derive(Debug)]
pub struct Unit {
    conv: Conv,
    norm: Norm,
    rule: UnitRule,
}

/// A dense layer with what follows it.
#[derive(Debug)]
pub struct DenseUnit {
    dense: Dense,
    norm: Norm,
    rule: UnitRule,
}

impl UnitRule {
    fn apply(self, x: &Tensor, norm: &Norm, mode: Mode) -> Tensor {
        match self.norm {
            NormPlace::BeforeActivation => self.activate(&norm.forward(x, mode)),
            NormPlace::AfterActivation => norm.forward(&self.activate(x), mode),
        }
    }

    fn activate(self, x: &Tensor) -> Tensor {
        match self.activation {
            Activation::Relu => x.relu(),
            Activation::Elu => x.elu(),
        }
    }
}

impl Unit {
    /// With the given names of the convolution and the normalisation.
    pub fn new(weights: &mut Weights, [conv, norm]: [&str; 2], shape: ConvShape, rule: UnitRule) -> Unit {
        let conv = Conv::new(weights, conv, shape);
        Unit { conv, norm: Norm::new(weights, norm, shape.outputs(), NormRule::KERAS), rule }
    }

    /// `[N, in, H, W]` to `[N, out, H', W']`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.rule.apply(&self.conv.forward(x), &self.norm, mode)
    }
}

impl DenseUnit {
    /// With the given names of the dense layer and the normalisation.
    pub fn new(weights: &mut Weights, [dense, norm]: [&str; 2], [inputs, outputs]: [i64; 2], rule: UnitRule) -> DenseUnit {
        let dense = Dense::new(weights, dense, inputs, outputs);
        DenseUnit { dense, norm: Norm::new(weights, norm, outputs, NormRule::KERAS), rule }
    }

    /// `[N, in]` to `[N, out]`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.rule.apply(&self.dense.forward(x), &self.norm, mode)
    }
}
