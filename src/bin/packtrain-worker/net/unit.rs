//! What most layers of the classifiers are: a convolution or a dense layer, an activation, and a normalisation on one side of it.

use packtrain::stage::{Activation, NormPlace};
use tch::{Device, Tensor};

use crate::kernels::{self, ReluPlace, Then};
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

/// What [`join`] sets side by side.
#[derive(Debug)]
pub enum Branch<'a> {
    /// What a unit makes of an image.
    Unit(&'a Unit, &'a Tensor),
    /// An image as it is.
    Image(&'a Tensor),
}

/// Branches side by side: `[N, in, H, W]` each, to `[N, sum of out, H', W']`. All units have the same rule.
pub fn join(branches: &[Branch<'_>], mode: Mode) -> Tensor {
    let fused = branches.iter().find_map(|branch| match branch {
        Branch::Unit(unit, x) => Some(unit.rule.fused(x, mode)),
        Branch::Image(_) => None,
    });
    if let Some(Some(place)) = fused {
        return join_fused(branches, place);
    }
    let parts: Vec<_> = branches
        .iter()
        .map(|branch| match branch {
            Branch::Unit(unit, x) => unit.forward_alone(x, mode),
            Branch::Image(x) => x.shallow_clone(),
        })
        .collect();
    if let [only] = parts.as_slice() { only.shallow_clone() } else { Tensor::cat(&parts, 1) }
}

/// The same in fewer passes over memory, for training on the CPU.
fn join_fused(branches: &[Branch<'_>], relu: ReluPlace) -> Tensor {
    // A bias right before a normalisation changes nothing but the running mean.
    let adds_bias = relu == ReluPlace::Before;
    let convolved: Vec<_> = branches
        .iter()
        .map(|branch| match branch {
            Branch::Unit(unit, x) if adds_bias => (unit.conv.forward(x), Some(unit.norm.branch(None))),
            Branch::Unit(unit, x) => (unit.conv.forward_without_bias(x), Some(unit.norm.branch(unit.conv.bias()))),
            Branch::Image(x) => (x.shallow_clone(), None),
        })
        .collect();
    let branches: Vec<_> = convolved.iter().map(|(x, norm)| kernels::Branch { x, norm: *norm }).collect();
    kernels::join_normed(&branches, NormRule::KERAS.with_relu(relu))
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

    /// Where the ReLU stands, if our own kernels can do both.
    fn fused(self, x: &Tensor, mode: Mode) -> Option<ReluPlace> {
        match (self.activation, self.norm) {
            _ if mode != Mode::Train || x.device() != Device::Cpu => None,
            (Activation::Elu, _) => None,
            (Activation::Relu, NormPlace::BeforeActivation) => Some(ReluPlace::After),
            (Activation::Relu, NormPlace::AfterActivation) => Some(ReluPlace::Before),
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
        join(&[Branch::Unit(self, x)], mode)
    }

    fn forward_alone(&self, x: &Tensor, mode: Mode) -> Tensor {
        match (mode, self.rule.norm, self.rule.activation) {
            (Mode::Frozen, NormPlace::BeforeActivation, Activation::Relu) => self.conv.forward_then(x, Some(&self.norm), &Then::Relu, mode),
            (Mode::Frozen, NormPlace::BeforeActivation, Activation::Elu) => {
                self.conv.forward_then(x, Some(&self.norm), &Then::Nothing, mode).elu()
            }
            (Mode::Frozen, NormPlace::AfterActivation, Activation::Relu) => {
                self.norm.forward(&self.conv.forward_then(x, None, &Then::Relu, mode), mode)
            }
            _ => self.rule.apply(&self.conv.forward(x), &self.norm, mode),
        }
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
        let dense = self.dense.forward(x, mode);
        match self.rule.fused(x, mode) {
            Some(relu) => {
                let branch = kernels::Branch { x: &dense, norm: Some(self.norm.branch(None)) };
                kernels::join_normed(&[branch], NormRule::KERAS.with_relu(relu))
            }
            None => self.rule.apply(&dense, &self.norm, mode),
        }
    }
}
