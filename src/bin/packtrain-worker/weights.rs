//! The tensors of a network by name: made at random, filled from a file, given to a file.
//!
//! Knows roles and shapes; what the tensors compute is the network's to know.

use packtrain::artifact::ModelTensor;
use packtrain::view::{Draws, Purpose};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};
use thiserror::Error;

use crate::inference::numbers;
use crate::kernels;

/// The tensors of a network, in the order of its layers. A network holds the same tensors, not copies.
#[derive(Debug)]
pub struct Weights {
    device: Device,
    start: Start,
    list: Vec<Weight>,
}

/// A tensor of a network.
#[derive(Debug)]
pub struct Weight {
    /// Layers and tensor, with dots between: `layer1.0.conv1.weight`.
    pub name: String,
    pub role: Role,
    pub tensor: Tensor,
}

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of a convolution or a dense layer: trained, with the l2 penalty.
    Kernel,
    /// A bias, or scale and shift of a normalisation: trained, without penalty.
    Offset,
    /// A running mean or variance: updated by forward passes.
    Statistic,
}

/// The kernels of a new network.
#[derive(Debug, Clone, Copy)]
enum Start {
    Glorot { seed: u64 },
    Zero,
}

/// A file does not hold the tensors of the network.
#[derive(Debug, Error)]
pub enum WeightsError {
    #[error("there is no tensor `{name}` {expected:?}")]
    Missing { name: String, expected: Vec<i64> },
    #[error("the tensor `{name}` has the shape {found:?}, the network needs {expected:?}")]
    Shape { name: String, expected: Vec<i64>, found: Vec<usize> },
}

/// Kernels are filled in pieces of this many numbers, each with counters of its own, so that threads can share the work.
const PIECE: usize = 1 << 16;

impl Weights {
    /// For a network to be trained: Glorot-uniform kernels that depend on `seed` alone.
    pub fn random(seed: u64, device: Device) -> Weights {
        Weights { device, start: Start::Glorot { seed }, list: Vec::new() }
    }

    /// For a network to be filled by [`Weights::load`].
    pub fn zero(device: Device) -> Weights {
        Weights { device, start: Start::Zero, list: Vec::new() }
    }

    /// Makes a kernel: `[out, in]`, or `[out, in, height, width]`, which lies in memory as channels-last.
    pub fn kernel(&mut self, name: String, shape: &[i64]) -> Tensor {
        let kernel = match self.start {
            Start::Glorot { seed } => glorot_uniform(seed, self.list.len() as u64, shape),
            Start::Zero => Tensor::zeros(shape, (Kind::Float, Device::Cpu)),
        };
        let kernel = kernel.to_device(self.device);
        self.add(name, Role::Kernel, if shape.len() == 4 { channels_last(&kernel) } else { kernel })
    }

    /// Makes a bias, or scale or shift of a normalisation: `[size]`, filled with `value`.
    pub fn offset(&mut self, name: String, size: i64, value: f64) -> Tensor {
        let offset = Tensor::full([size], value, (Kind::Float, self.device));
        self.add(name, Role::Offset, offset)
    }

    /// Makes a running statistic: `[size]`, filled with `value`.
    pub fn statistic(&mut self, name: String, size: i64, value: f64) -> Tensor {
        let statistic = Tensor::full([size], value, (Kind::Float, self.device));
        self.add(name, Role::Statistic, statistic)
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// All tensors, in the order of the layers.
    pub fn iter(&self) -> impl Iterator<Item = &Weight> {
        self.list.iter()
    }

    /// The tensors that an optimizer updates.
    pub fn trained(&self) -> impl Iterator<Item = &Weight> {
        self.list.iter().filter(|weight| weight.role != Role::Statistic)
    }

    /// `sum(w^2)` over all kernels, as a scalar on the device, without gradient.
    pub fn squared_norm(&self) -> Tensor {
        tch::no_grad(|| {
            let kernels = self.list.iter().filter(|weight| weight.role == Role::Kernel).map(|weight| &weight.tensor);
            if self.device.is_cuda() {
                // In few computations. On the CPU libtorch would add so many numbers one after the other, which costs digits.
                return kernels::squared_norm(&kernels.collect::<Vec<_>>());
            }
            let zero = Tensor::zeros([], (Kind::Float, self.device));
            kernels.fold(zero, |sum, kernel| sum + kernel.square().sum(Kind::Float))
        })
    }

    /// Fills every tensor with the one of the same name. Others are ignored: a file may hold a head that is not used.
    pub fn load(&mut self, tensors: &[ModelTensor]) -> Result<(), WeightsError> {
        self.list.iter().try_for_each(|weight| fill(&weight.name, &weight.tensor, tensors))
    }

    /// Copies of all tensors, row-major.
    pub fn save(&self) -> Vec<ModelTensor> {
        self.iter().map(|weight| read_back(&weight.name, &weight.tensor)).collect()
    }

    fn add(&mut self, name: String, role: Role, tensor: Tensor) -> Tensor {
        let tensor = tensor.set_requires_grad(role != Role::Statistic);
        self.list.push(Weight { name, role, tensor: tensor.shallow_clone() });
        tensor
    }
}

/// Fills a tensor with the one of this name; its layout in memory stays.
pub fn fill(name: &str, tensor: &Tensor, tensors: &[ModelTensor]) -> Result<(), WeightsError> {
    let expected = tensor.size();
    let Some(found) = tensors.iter().find(|found| found.name == name) else {
        return Err(WeightsError::Missing { name: name.to_owned(), expected });
    };
    if !found.shape.iter().map(|&side| side as i64).eq(expected.iter().copied()) {
        return Err(WeightsError::Shape { name: name.to_owned(), expected, found: found.shape.clone() });
    }
    let values = Tensor::from_slice(&found.values).view(expected.as_slice());
    tch::no_grad(|| tensor.shallow_clone().copy_(&values));
    Ok(())
}

/// The same `[N,C,H,W]` numbers, lying in memory as `[N,H,W,C]`: what convolutions are fastest with.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// A row-major copy on the CPU.
pub fn read_back(name: &str, tensor: &Tensor) -> ModelTensor {
    let shape = tensor.size().into_iter().map(|side| side as usize).collect();
    ModelTensor { name: name.to_owned(), shape, values: numbers(tensor) }
}

/// Uniform in ±sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010). Made on the CPU, so that it is the same everywhere.
fn glorot_uniform(seed: u64, place: u64, shape: &[i64]) -> Tensor {
    let window: i64 = shape[2..].iter().product();
    let limit = (6.0 / ((shape[0] + shape[1]) * window) as f32).sqrt();
    let mut values = vec![0.0_f32; shape.iter().product::<i64>() as usize];
    values.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
        let mut draws = Draws::new(seed, Purpose::Weights, [place, piece as u64]);
        values.fill_with(|| limit * (2.0 * draws.unit() - 1.0));
    });
    Tensor::from_slice(&values).view(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64) -> Weights {
        let mut weights = Weights::random(seed, Device::Cpu);
        let _tensors = [
            weights.kernel("conv.weight".into(), &[64, 32, 3, 3]),
            weights.offset("conv.bias".into(), 64, 0.0),
            weights.statistic("norm.running_var".into(), 64, 1.0),
            weights.kernel("dense.weight".into(), &[10, 500]),
        ];
        weights
    }

    #[test]
    fn kernels_are_uniform_within_glorots_limit() {
        let limits = [(0, (6.0_f64 / (9.0 * 96.0)).sqrt()), (3, (6.0_f64 / 510.0).sqrt())];
        for (index, limit) in limits {
            let kernel = sample(3).list[index].tensor.detach().to_kind(Kind::Double);
            let (least, greatest) = (kernel.min().double_value(&[]), kernel.max().double_value(&[]));
            assert!(-limit <= least && least < -0.998 * limit && 0.998 * limit < greatest && greatest <= limit);
            // A uniform variable has the variance limit²/3; 5,000 or more of them are within a few percent.
            let variance = kernel.square().mean(Kind::Double).double_value(&[]);
            assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.05, "{variance}");
            assert!(kernel.mean(Kind::Double).double_value(&[]).abs() < 0.03 * limit);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_kernels_and_another_gives_others() {
        assert_eq!(sample(3).save(), sample(3).save());
        assert_ne!(sample(3).save()[0], sample(4).save()[0]);
        assert_ne!(sample(3).save()[0].values[..10], sample(3).save()[3].values[..10]);
    }

    #[test]
    fn saved_tensors_load_into_another_network() {
        let saved = sample(3).save();
        let mut other = sample(4);
        other.load(&saved).unwrap();
        assert_eq!(other.save(), saved);
    }

    #[test]
    fn a_missing_or_misshapen_tensor_is_named() {
        let saved = sample(3).save();
        let missing = sample(4).load(&saved[1..]).unwrap_err();
        assert_eq!(missing.to_string(), "there is no tensor `conv.weight` [64, 32, 3, 3]");

        let mut misshapen = saved;
        misshapen[1] = ModelTensor { name: "conv.bias".into(), shape: vec![63], values: vec![0.0; 63] };
        let message = sample(4).load(&misshapen).unwrap_err().to_string();
        assert_eq!(message, "the tensor `conv.bias` has the shape [63], the network needs [64]");
    }

    #[test]
    fn the_squared_norm_counts_kernels_alone() {
        let mut weights = Weights::zero(Device::Cpu);
        let _tensors = [weights.kernel("a".into(), &[1, 2]), weights.offset("b".into(), 2, 5.0)];
        let tensor = ModelTensor { name: "a".into(), shape: vec![1, 2], values: vec![3.0, -4.0] };
        let bias = ModelTensor { name: "b".into(), shape: vec![2], values: vec![9.0, 9.0] };
        weights.load(&[tensor, bias]).unwrap();
        assert_eq!(weights.squared_norm().double_value(&[]), 25.0);
    }
}
