//! Networks on the CPU: training, ten crops, features, and the start of a training, beside PyTorch.
//!
//! Ours is what `packtrain run` does, reading images included, from the first to the last progress of an activity; PyTorch's is the bare
//! network with its images in memory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::time::{Duration, Instant};

use packtrain::stage::PretrainedNetwork;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::Value;

use crate::bench::{Bench, packtrain};
use crate::error::BenchError;
use crate::row::{Aim, Contest, Group, Row, Side, Unit};

const MANIFEST: &str = "networks.yaml";
const PYTORCH: &str = "PyTorch";
const INDUCTOR: &str = "PyTorch, compiled";

pub fn rows() -> Vec<Row> {
    vec![
        row("train-alexnet", "training, AlexNet, 227×227, batches of 32", |bench| training(bench, "alexnet", "fp32", 32)),
        row("train-mini", "training, MiniGoogLeNet, 32×32, batches of 64", |bench| training(bench, "mini-googlenet", "fp32", 64)),
        row("train-deeper", "training, DeeperGoogLeNet, 64×64, batches of 64", |bench| training(bench, "deeper-googlenet", "fp32", 64)),
        row("train-alexnet-bf16", "the same in bf16", |bench| training(bench, "alexnet", "bf16", 32)),
        row("train-mini-bf16", "the same in bf16", |bench| training(bench, "mini-googlenet", "bf16", 64)),
        row("train-deeper-bf16", "the same in bf16", |bench| training(bench, "deeper-googlenet", "bf16", 64)),
        row("crops", "ten-crop evaluation, AlexNet, 8 images at a time", |bench| crops(bench, "fp32")),
        row("crops-bf16", "the same in bf16", |bench| crops(bench, "bf16")),
        row("features", "features of ResNet-50, 224×224, batches of 32", |bench| features(bench, "fp32")),
        row("features-bf16", "the same in bf16", |bench| features(bench, "bf16")),
        Row {
            name: "worker-start",
            what: "from nothing to the end of the first step of a training, AlexNet, a batch of 2",
            group: Group::Standard,
            unit: Unit::Seconds,
            contest: start,
        },
    ]
}

fn row(name: &'static str, what: &'static str, contest: fn(&Bench) -> Result<Contest, BenchError>) -> Row {
    Row { name, what, group: Group::Standard, unit: Unit::Images, contest }
}

/// Side of the inputs, side of the packed images and images learnt from, so many that an epoch takes some seconds.
fn shape(network: &str) -> (u32, u32, u32) {
    match network {
        "alexnet" => (227, 256, 192),
        "mini-googlenet" => (32, 36, 576),
        _ => (64, 68, 448),
    }
}

fn training(bench: &Bench, network: &str, precision: &str, batch: u32) -> Result<Contest, BenchError> {
    let (size, packed, images) = shape(network);
    let train = format!(
        "  train:\n    kind: train\n    train: pack.train\n    mean: mean\n    model: {network}\n    input: {{ size: {size}, train: random-crop, \
         eval: resize, scale: 0.0078125 }}\n    augment: {{ horizontal-flip: true }}\n    optimizer: {{ sgd: {{ lr: '${{lr}}', momentum: 0.9 }} }}\n    \
         epochs: 2\n    batch: {batch}\n    precision: {precision}\n"
    );
    let mut project = Project::open(bench, &format!("{network}-{precision}"), packed, 600 - images, &train)?;
    let ours = Side::new("packtrain", move || project.rate("epoch 2/2"));
    let others = peer(bench, PYTORCH, &["train", network, precision, &batch.to_string()])?;
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: PYTORCH.to_owned(), factor: 1.05 } })
}

fn crops(bench: &Bench, precision: &str) -> Result<Contest, BenchError> {
    let stages = format!(
        "  train:\n    kind: train\n    train: pack.train\n    mean: mean\n    model: alexnet\n    input: {{ size: 227, train: random-crop, eval: \
         resize, scale: 0.0078125 }}\n    optimizer: {{ sgd: {{ lr: 0.001 }} }}\n    epochs: 1\n    batch: 32\n  \
         crops: {{ kind: oversample-eval, images: pack.test, model: train, precision: {precision} }}\n"
    );
    let mut project = Project::open(bench, &format!("crops-{precision}"), 256, 48, &stages)?;
    let ours = Side::new("packtrain", move || project.rate_again("crops", "10 crops"));
    let mut others = peer(bench, PYTORCH, &["crops", "alexnet", precision, "80"])?;
    others.extend(peer(bench, INDUCTOR, &["crops", "alexnet", precision, "80", "compile"])?);
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: INDUCTOR.to_owned(), factor: 1.0 } })
}

fn features(bench: &Bench, precision: &str) -> Result<Contest, BenchError> {
    let weights = bench.path("resnet50.safetensors");
    write_weights(&weights, PretrainedNetwork::Resnet50)?;
    let stages = format!(
        "  features: {{ kind: extract-features, images: pack.test, network: resnet50, weights: {{ file: {} }}, precision: {precision} }}\n",
        weights.display()
    );
    let mut project = Project::open(bench, &format!("features-{precision}"), 256, 160, &stages)?;
    let ours = Side::new("packtrain", move || project.rate_again("features", "extracting features"));
    let mut others = peer(bench, PYTORCH, &["features", "resnet50", precision, "32"])?;
    others.extend(peer(bench, INDUCTOR, &["features", "resnet50", precision, "32", "compile"])?);
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: INDUCTOR.to_owned(), factor: 1.0 } })
}

fn start(bench: &Bench) -> Result<Contest, BenchError> {
    let train = "  train:\n    kind: train\n    train: pack.train\n    model: alexnet\n    input: { size: 227, train: random-crop, eval: resize }\n    \
                 optimizer: { sgd: { lr: '${lr}', momentum: 0.9 } }\n    epochs: 1\n    batch: 2\n";
    let mut project = Project::open(bench, "start", 256, 592, train)?;
    let ours = Side::new("packtrain", move || project.seconds_until("epoch 1/1"));
    let mut others = Vec::new();
    if let Some(programs) = bench.peers.programs(&["torch==2.11.0", "torchvision==0.26.0"])? {
        others.push(Side::new(PYTORCH, move || {
            let mut command = std::process::Command::new(programs.join("python"));
            Ok(crate::measure::run(command.arg(script()).args(["start", "alexnet", "fp32", "2"]))?.seconds)
        }));
    }
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: PYTORCH.to_owned(), factor: 2.0 } })
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join("peers").join("networks.py")
}

fn peer(bench: &Bench, name: &str, arguments: &[&str]) -> Result<Vec<Side>, BenchError> {
    let arguments: Vec<_> = arguments.iter().map(Path::new).collect();
    let packages = ["torch==2.11.0", "torchvision==0.26.0"];
    Ok(bench.peers.script(name, &packages, "networks.py", &arguments)?.into_iter().collect())
}

/// A project whose last stage runs again and again.
struct Project {
    folder: PathBuf,
    runs: u32,
}

/// A run under way, whose events are read as they come.
struct Run {
    started: Instant,
    events: BufReader<ChildStdout>,
    child: std::process::Child,
}

impl Project {
    /// With drawn pictures, so many of them in the part `test`, and everything run once.
    fn open(bench: &Bench, name: &str, packed: u32, tested: u32, stages: &str) -> Result<Project, BenchError> {
        let folder = bench.path(&format!("networks-{name}"));
        let state = folder.join(".packtrain");
        fs::create_dir_all(&state).map_err(BenchError::at(&state))?;
        let pictures = bench.path("pictures");
        packtrain::demo::write_images(&pictures, 1).map_err(BenchError::at(&pictures))?;
        let manifest = format!(
            "name: networks\nparams: {{ lr: 0.001 }}\nstages:\n  pack: {{ kind: pack, images: {}, labels: parent-dir, size: {packed}, split: {{ \
             test: {tested} }} }}\n  mean: {{ kind: compute-mean, images: pack.train }}\n{stages}",
            pictures.display()
        );
        let path = folder.join(MANIFEST);
        fs::write(&path, manifest).map_err(BenchError::at(&path))?;
        // Another benchmark may have learnt with these rates before.
        let runs = std::process::id();
        let project = Project { folder, runs };
        project.run(&[])?.finish()?;
        Ok(project)
    }

    /// Images a second of a training with a learning rate that it never had.
    fn rate(&mut self, activity: &str) -> Result<f64, BenchError> {
        self.runs += 1;
        let rate = format!("lr={}", 1e-3 + 1e-9 * f64::from(self.runs));
        self.run(&["-p", &rate])?.rate(activity)
    }

    /// Images a second of a stage that would be reused.
    fn rate_again(&mut self, stage: &str, activity: &str) -> Result<f64, BenchError> {
        self.run(&["--force", stage])?.rate(activity)
    }

    fn seconds_until(&mut self, activity: &str) -> Result<f64, BenchError> {
        self.runs += 1;
        let rate = format!("lr={}", 1e-3 + 1e-9 * f64::from(self.runs));
        let mut run = self.run(&["-p", &rate])?;
        let (at, _) = run.progress(activity)?.ok_or_else(|| BenchError::Unexpected(format!("nothing was said of {activity}")))?;
        run.finish()?;
        Ok(at.as_secs_f64())
    }

    fn run(&self, arguments: &[&str]) -> Result<Run, BenchError> {
        let mut command = packtrain(&self.folder, &["run", MANIFEST, "--json", "--device", "cpu"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Instant::now();
        let failed = |source| BenchError::Start { command: "packtrain run".to_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        let events = child.stdout.take().ok_or_else(|| BenchError::Unexpected("a run has no output".to_owned()))?;
        Ok(Run { started, events: BufReader::new(events), child })
    }
}

impl Run {
    /// Images a second between the first and the last progress of an activity.
    fn rate(mut self, activity: &str) -> Result<f64, BenchError> {
        let mut first = None;
        let mut last = None;
        while let Some(progress) = self.progress(activity)? {
            first = first.or(Some(progress));
            last = Some(progress);
        }
        self.finish()?;
        match (first, last) {
            (Some((began, before)), Some((ended, after))) if after > before => Ok((after - before) / (ended - began).as_secs_f64()),
            _ => Err(BenchError::Unexpected(format!("too little was said of {activity}"))),
        }
    }

    /// When the next progress of an activity was told, and how many images were done.
    fn progress(&mut self, activity: &str) -> Result<Option<(Duration, f64)>, BenchError> {
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.events.read_line(&mut line).map_err(BenchError::at(Path::new("packtrain run")))?;
            if read == 0 {
                return Ok(None);
            }
            let at = self.started.elapsed();
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            let told = event.get("progress").unwrap_or(&event);
            let of_activity = find(told, "activity").and_then(Value::as_str) == Some(activity);
            if let (true, Some(done)) = (of_activity, find(told, "done").and_then(Value::as_f64)) {
                return Ok(Some((at, done)));
            }
        }
    }

    fn finish(mut self) -> Result<(), BenchError> {
        std::io::copy(&mut self.events, &mut std::io::sink()).map_err(BenchError::at(Path::new("packtrain run")))?;
        let status = self.child.wait().map_err(BenchError::at(Path::new("packtrain run")))?;
        match status.success() {
            true => Ok(()),
            false => Err(BenchError::Failed { command: "packtrain run".to_owned(), status, said: String::new() }),
        }
    }
}

/// The value of a key, however deep it lies.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(key).or_else(|| object.values().find_map(|inner| find(inner, key)))
}

/// Weights that only have the right shapes: numbers do not change how long a network takes, as long as they stay of usual size.
fn write_weights(path: &Path, network: PretrainedNetwork) -> Result<(), BenchError> {
    if path.exists() {
        return Ok(());
    }
    let sketch =
        network.sketch(PretrainedNetwork::SIZE).ok_or_else(|| BenchError::Unexpected("the network takes no such images".to_owned()))?;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = sketch
        .tensors()
        .iter()
        .map(|tensor| {
            let shape: Vec<usize> = tensor.shape.iter().map(|&side| side as usize).collect();
            let inputs: usize = shape.iter().skip(1).product();
            let value = |index: usize| match shape.len() {
                1 => 1.0,
                _ => ((index % 7) as f32 - 3.0) / 2.0 / (inputs as f32).sqrt(),
            };
            let bytes = (0..shape.iter().product()).flat_map(|index| value(index).to_le_bytes()).collect();
            (tensor.name.clone(), shape, bytes)
        })
        .collect();
    let invalid = |error: safetensors::SafeTensorError| BenchError::Unexpected(error.to_string());
    let views: Result<Vec<_>, _> =
        tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))).collect();
    serialize_to_file(views.map_err(invalid)?, None, path).map_err(invalid)
}
