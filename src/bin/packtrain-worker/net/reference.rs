//! Compares networks with what `tests/reference/networks.py` recorded of PyTorch.
//!
//! On another device, and away from the sources, with `PACKTRAIN_TEST_DEVICE=cuda` and `PACKTRAIN_TEST_REFERENCE=<folder>`.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use packtrain::artifact::ModelTensor;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::inference::numbers;
use crate::net::layers::Mode;
use crate::weights::{Role, Weights, channels_last, read_back};

/// A file of `tests/reference`.
#[derive(Debug, Deserialize)]
pub struct Reference {
    images: usize,
    size: usize,
    gradient_tolerance: f64,
    infer: Outputs,
    /// None, and no gradients, of a network that is only used for its features.
    train: Option<Outputs>,
    #[serde(default)]
    gradients: BTreeMap<String, Summary>,
    #[serde(default)]
    statistics: BTreeMap<String, Summary>,
}

/// The outputs of all images and the first four of each.
#[derive(Debug, Deserialize)]
struct Outputs {
    summary: Summary,
    first: Vec<f64>,
}

/// A tensor's norm, and its product with noise of the same name.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Summary(f64, f64);

impl Reference {
    pub fn read(network: &str) -> Reference {
        let path = folder().join(network).with_extension("json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

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

/// Outputs in both modes, gradients and running statistics are those of the reference.
pub fn compare(weights: &mut Weights, reference: &Reference, forward: &dyn Fn(&Tensor, Mode) -> Tensor) {
    weights.load(&weights.save().iter().map(fill).collect::<Vec<_>>()).unwrap();
    let images = channels_last(&tensor_of_noise("images", &[reference.images, 3, reference.size, reference.size]));
    check_outputs(&reference.infer, &tch::no_grad(|| forward(&images, Mode::Infer)));

    if let Some(expected) = &reference.train {
        let outputs = forward(&images, Mode::Train);
        let probe = tensor_of_noise("probe", &outputs.size().iter().map(|&side| side as usize).collect::<Vec<_>>());
        (&outputs * probe).sum(Kind::Float).backward();
        check_outputs(expected, &outputs);
        check_derivatives(weights, reference);
    }
}

/// After a backward pass.
fn check_derivatives(weights: &Weights, reference: &Reference) {
    let greatest = reference.gradients.values().map(|summary| summary.0).fold(0.0, f64::max);
    let mut compared = 0;
    for weight in weights.iter() {
        let (expected, tensor, tolerance) = match weight.role {
            Role::Statistic => (&reference.statistics, weight.tensor.shallow_clone(), 1e-4),
            Role::Kernel | Role::Offset => (&reference.gradients, weight.tensor.grad(), reference.gradient_tolerance),
        };
        let expected = expected[&weight.name];
        // What is zero but for rounding, such as the gradient of a bias before a normalisation, has no digits to compare.
        let rounding = 1e-5 * greatest;
        check(&weight.name, expected, summary(&weight.name, &tensor), tolerance * expected.0 + rounding);
        compared += 1;
    }
    assert_eq!(compared, reference.gradients.len() + reference.statistics.len());
}

fn check_outputs(expected: &Outputs, found: &Tensor) {
    check("outputs", expected.summary, summary("outputs", found), 1e-4 * expected.summary.0);
    let first = numbers(&found.slice(1, 0, 4, 1));
    let scale = expected.first.iter().fold(0.0, |greatest: f64, value| greatest.max(value.abs()));
    assert_eq!(first.len(), expected.first.len());
    for (expected, found) in expected.first.iter().zip(first) {
        assert!((expected - f64::from(found)).abs() < 1e-4 * scale, "{expected} {found}");
    }
}

fn check(name: &str, expected: Summary, found: Summary, tolerance: f64) {
    assert!((expected.0 - found.0).abs() < tolerance, "norm of {name}: {} {}", expected.0, found.0);
    assert!((expected.1 - found.1).abs() < 2.0 * tolerance, "projection of {name}: {} {}", expected.1, found.1);
}

fn summary(name: &str, tensor: &Tensor) -> Summary {
    let tensor = read_back(name, tensor);
    let dot = |values: &mut dyn Iterator<Item = f64>| tensor.values.iter().zip(values).map(|(&a, b)| f64::from(a) * b).sum::<f64>();
    let norm = dot(&mut tensor.values.iter().map(|&value| f64::from(value))).sqrt();
    Summary(norm, dot(&mut noise(name, tensor.values.len()).map(f64::from)))
}

/// The script's `fill`.
fn fill(tensor: &ModelTensor) -> ModelTensor {
    let fan_in: usize = tensor.shape[1..].iter().product();
    let limit = (6.0 / fan_in as f64).sqrt() as f32;
    let value = |noise: f32| match tensor.name.rsplit('.').next() {
        Some("running_mean" | "bias") => 0.1 * noise,
        Some("running_var") => 1.0 + 0.5 * noise,
        _ if tensor.shape.len() == 1 => 1.0 + 0.2 * noise,
        _ => limit * noise,
    };
    ModelTensor { values: noise(&tensor.name, tensor.values.len()).map(value).collect(), ..tensor.clone() }
}

fn tensor_of_noise(name: &str, shape: &[usize]) -> Tensor {
    let values: Vec<f32> = noise(name, shape.iter().product()).collect();
    Tensor::from_slice(&values).to_device(device()).view(shape.iter().map(|&side| side as i64).collect::<Vec<_>>().as_slice())
}

/// The script's `noise`.
fn noise(name: &str, length: usize) -> impl Iterator<Item = f32> {
    let phase = name.bytes().map(u32::from).sum::<u32>().wrapping_mul(40503);
    (0..length as u32).map(move |place| {
        let h = place.wrapping_mul(2_654_435_761).wrapping_add(phase);
        let h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        let h = h ^ (h >> 13);
        (f64::from(h) / f64::from(1_u32 << 31) - 1.0) as f32
    })
}
