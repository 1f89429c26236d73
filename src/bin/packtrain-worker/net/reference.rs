//! Compares networks with what `tests/reference/networks.py` recorded of PyTorch in double precision.
//!
//! `cargo test --bin packtrain-worker outputs_ -- --nocapture` prints the differences found. On another device, and away from the
//! sources, with `PACKTRAIN_TEST_DEVICE=cuda` and `PACKTRAIN_TEST_REFERENCE=<folder>`; a card needs `NVIDIA_TF32_OVERRIDE=0`
//! besides, since TF32 is not fp32.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use packtrain::artifact::ModelTensor;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::inference::numbers;
use crate::net::layers::Mode;
use crate::weights::{Role, Weights, channels_last};

/// A file of `tests/reference`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    images: i64,
    size: i64,
    infer: Outputs,
    train: Outputs,
    /// The measure of each, by the tensor's name.
    gradients: BTreeMap<String, f64>,
    /// After one step of training.
    statistics: BTreeMap<String, f64>,
}

/// The measure of all outputs, and the first three of each image.
#[derive(Debug, Deserialize)]
struct Outputs {
    measure: f64,
    first: Vec<f64>,
}

/// The greatest differences from the reference, relative to the tensor's norm.
#[derive(Debug, Clone, Copy)]
struct Differences {
    infer: f64,
    train: f64,
    gradients: f64,
    statistics: f64,
}

/// fp64 tells whether a network computes the right thing. In fp32, rounding moves some of so many ReLUs, and normalisation over
/// small batches enlarges it, on every machine in another way: PyTorch's own fp32 differs from its fp64 by 3e-4 in the outputs that
/// ResNet-101 has in training, and by 6e-2 in its gradients.
const ALLOWED: [(Kind, Differences); 2] = [
    (Kind::Double, Differences { infer: 1e-9, train: 1e-9, gradients: 1e-9, statistics: 1e-9 }),
    (Kind::Float, Differences { infer: 1e-4, train: 5e-3, gradients: 0.5, statistics: 1e-3 }),
];

/// A gradient shorter than this part of the longest one is compared with that part: the gradient of a bias before a normalisation
/// is zero but for rounding, and has no digits to compare.
const SHORT: f64 = 1e-5;

/// Where tests that compare numbers compute: the device named by `PACKTRAIN_TEST_DEVICE`, else the CPU.
#[expect(clippy::disallowed_methods, reason = "a test has no command line; this variable is this module's")]
pub fn device() -> Device {
    let name = env::var("PACKTRAIN_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    device::choose(name.parse().unwrap()).unwrap()
}

/// The recorded numbers: the folder named by `PACKTRAIN_TEST_REFERENCE`, else that of the sources.
#[expect(clippy::disallowed_methods, reason = "a test has no command line; this variable is this module's")]
fn folder() -> PathBuf {
    let sources = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    env::var_os("PACKTRAIN_TEST_REFERENCE").map_or_else(sources, PathBuf::from)
}

/// A network's forward pass.
pub type Forward = Box<dyn Fn(&Tensor, Mode) -> Tensor>;

/// Outputs in all modes, gradients and running statistics of the network that `make` makes are those of the reference.
pub fn compare(name: &str, make: impl Fn(&mut Weights) -> Forward) {
    let reference = Reference::read(name);
    for (kind, allowed) in ALLOWED {
        let mut weights = Weights::zero(device());
        let forward = make(&mut weights);
        fill(&mut weights, kind);
        let found = reference.differences(&weights, &forward, kind);
        println!("{}", found.line(name, kind));
        assert!(found.within(allowed), "{found:?} {allowed:?}");
    }
}

impl Reference {
    fn read(network: &str) -> Reference {
        let path = folder().join(network).with_extension("json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn differences(&self, weights: &Weights, forward: &Forward, kind: Kind) -> Differences {
        let images = channels_last(&noise("images", &[self.images, 3, self.size, self.size])).to_kind(kind);
        let [infer, frozen] = [Mode::Infer, Mode::Frozen].map(|mode| tch::no_grad(|| forward(&images, mode)));
        let train = forward(&images, Mode::Train);
        let loss = (&train * noise("probe", &train.size())).sum(kind);
        let trained: Vec<_> = weights.trained().map(|weight| &weight.tensor).collect();
        let gradients = Tensor::run_backward(&[loss], &trained, false, false);
        let statistics = weights.iter().filter(|weight| weight.role == Role::Statistic);
        Differences {
            infer: self.infer.difference(&infer).max(self.infer.difference(&frozen)),
            train: self.train.difference(&train),
            gradients: difference(&self.gradients, weights.trained().map(|weight| weight.name.as_str()).zip(&gradients)),
            statistics: difference(&self.statistics, statistics.map(|weight| (weight.name.as_str(), &weight.tensor))),
        }
    }
}

impl Differences {
    fn within(self, allowed: Differences) -> bool {
        let outputs = self.infer < allowed.infer && self.train < allowed.train;
        outputs && self.gradients < allowed.gradients && self.statistics < allowed.statistics
    }

    fn line(self, network: &str, kind: Kind) -> String {
        let Differences { infer, train, gradients, statistics } = self;
        format!(
            "{network:<20} {kind:?}: outputs {infer:.1e} in inference, {train:.1e} in training, gradients {gradients:.1e}, \
             running statistics {statistics:.1e}"
        )
    }
}

impl Outputs {
    fn difference(&self, found: &Tensor) -> f64 {
        let first = Tensor::from_slice(&self.first).view([-1, 3]);
        let difference = (found.slice(1, 0, 3, 1).to_device(Device::Cpu) - &first).abs().max() / first.abs().max();
        let all = (self.measure - measure("outputs", found)).abs() / norm(found);
        finite(difference.double_value(&[])).max(finite(all))
    }
}

/// The greatest difference between the measures of tensors of the same names.
fn difference<'a>(expected: &BTreeMap<String, f64>, found: impl Iterator<Item = (&'a str, &'a Tensor)>) -> f64 {
    let found: BTreeMap<_, _> = found.collect();
    assert!(found.keys().eq(expected.keys()), "{:?} {:?}", found.keys(), expected.keys());
    let longest = found.values().map(|tensor| norm(tensor)).fold(0.0, f64::max);
    let relative = |(name, tensor)| (expected[name] - measure(name, tensor)).abs() / norm(tensor).max(SHORT * longest);
    found.into_iter().map(relative).map(finite).fold(0.0, f64::max)
}

/// Comparisons would let a NaN pass.
fn finite(number: f64) -> f64 {
    assert!(number.is_finite());
    number
}

fn norm(tensor: &Tensor) -> f64 {
    tensor.norm().double_value(&[])
}

/// The script's `measure`.
fn measure(name: &str, tensor: &Tensor) -> f64 {
    (tensor.to_kind(Kind::Double) * noise(&format!("measure of {name}"), &tensor.size())).sum(Kind::Double).double_value(&[])
}

/// Gives the tensors of a network the script's numbers, of the given kind.
fn fill(weights: &mut Weights, kind: Kind) {
    for weight in weights.iter() {
        // The network holds the same tensor; its numbers are replaced there too.
        tch::no_grad(|| weight.tensor.shallow_clone().set_data(&weight.tensor.to_kind(kind)));
    }
    let filled: Vec<_> = weights.iter().map(|weight| filled(&weight.name, &weight.tensor.size())).collect();
    weights.load(&filled).unwrap();
}

/// The script's `fill`.
fn filled(name: &str, shape: &[i64]) -> ModelTensor {
    let fan_in: i64 = shape[1..].iter().product();
    let limit = (6.0 / fan_in as f64).sqrt() as f32;
    let value = |noise: f32| match name.rsplit('.').next() {
        Some("running_mean" | "bias") => 0.1 * noise,
        Some("running_var") => 1.0 + 0.5 * noise,
        _ if shape.len() == 1 => 1.0 + 0.2 * noise,
        _ => limit * noise,
    };
    let values = numbers(&noise(name, shape)).into_iter().map(value).collect();
    ModelTensor { name: name.to_owned(), shape: shape.iter().map(|&side| side as usize).collect(), values }
}

/// The script's `noise`.
fn noise(name: &str, shape: &[i64]) -> Tensor {
    let phase = name.bytes().fold(2_166_136_261, |phase: u32, byte| (phase ^ u32::from(byte)).wrapping_mul(16_777_619));
    let value = |place: u32| {
        let h = place.wrapping_mul(2_654_435_761).wrapping_add(phase);
        let h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        let h = h ^ (h >> 13);
        (f64::from(h) / f64::from(1_u32 << 31) - 1.0) as f32
    };
    let values: Vec<f32> = (0..shape.iter().product::<i64>() as u32).map(value).collect();
    Tensor::from_slice(&values).to_device(device()).view(shape)
}
