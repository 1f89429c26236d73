//! Networks on the CPU: training, ten crops, features, and the start of a training, beside PyTorch.
//!
//! Ours is what `packtrain run` does, with images read from their file, between the first and the last progress of an activity; PyTorch's
//! is the bare network with its images in memory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use packtrain::event::{RunEvent, StageEvent};
use packtrain::stage::PretrainedNetwork;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use crate::bench::{Bench, packtrain};
use crate::error::BenchError;
use crate::measure;
use crate::row::{Aim, Contest, Row, Side, Unit};

const MANIFEST: &str = "networks.yaml";
const PYTORCH: &str = "PyTorch";
const COMPILED: &str = "PyTorch, compiled";
const SCRIPT: &str = "networks.py";
const PACKAGES: [&str; 2] = ["torch==2.11.0", "torchvision==0.26.0"];

/// The images that packtrain draws for its demonstration.
const DRAWN: u32 = 600;

/// What a training row trains.
#[derive(Clone, Copy)]
struct Trained {
    network: &'static str,
    precision: &'static str,
    batch: u32,
    /// Side of the inputs and of the packed images.
    sides: [u32; 2],
    /// Images learnt from, so many that an epoch takes some seconds.
    images: u32,
}

const ALEXNET: Trained = Trained { network: "alexnet", precision: "fp32", batch: 32, sides: [227, 256], images: 192 };
const MINI: Trained = Trained { network: "mini-googlenet", precision: "fp32", batch: 64, sides: [32, 36], images: 576 };
const DEEPER: Trained = Trained { network: "deeper-googlenet", precision: "fp32", batch: 64, sides: [64, 68], images: 448 };

const PLAIN: &str = "train: resize, eval: resize";
const VARIED: &str = "train: random-crop, eval: resize";

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for trained in [ALEXNET, MINI, DEEPER] {
        for precision in ["fp32", "bf16"] {
            let trained = Trained { precision, ..trained };
            let Trained { network, batch, sides: [side, _], .. } = trained;
            let what = format!("training of {network} with {side}×{side} images in {precision}, batches of {batch}");
            rows.push(Row::new(format!("train-{network}-{precision}"), what, Unit::Images, move |bench: &Bench| training(bench, trained)));
        }
    }
    rows.push(Row::new("train-augmented", "training of alexnet with crops, mirroring and warps", Unit::Images, augmented));
    for precision in ["fp32", "bf16"] {
        let what = format!("ten-crop evaluation of alexnet in {precision}, 8 images at a time");
        rows.push(Row::new(format!("crops-{precision}"), what, Unit::Images, move |bench: &Bench| crops(bench, precision)));
        let what = format!("features of resnet50 with 224×224 images in {precision}, batches of 32");
        rows.push(Row::new(format!("features-{precision}"), what, Unit::Images, move |bench: &Bench| features(bench, precision)));
    }
    let what = "from nothing to the first step of alexnet, a batch of 2";
    rows.push(Row::new("worker-start", what, Unit::Seconds, start));
    rows
}

fn training(bench: &Bench, trained: Trained) -> Result<Contest, BenchError> {
    let Trained { network, precision, batch, sides, .. } = trained;
    let name = format!("{network}-{precision}");
    let mut project = Project::open(bench, &name, [sides[1], DRAWN - trained.images], &trained.stage(VARIED, "horizontal-flip: true"))?;
    let ours = Side::new("packtrain", move || project.rate_of_training());
    let others = peer(bench, PYTORCH, &["train", network, precision, &batch.to_string()])?;
    Ok(Contest { ours, others, stated: Vec::new(), aim: times(PYTORCH, 1.05) })
}

/// The other side prepares the least that there is for a batch: whole images of the right size, of which a mean is subtracted.
fn augmented(bench: &Bench) -> Result<Contest, BenchError> {
    let [side, packed] = ALEXNET.sides;
    let all = "horizontal-flip: true, rotation: 20, zoom: 0.15, shift: 0.2, shear: 0.15";
    let rest = DRAWN - ALEXNET.images;
    let mut project = Project::open(bench, "augmented", [packed, rest], &ALEXNET.stage(VARIED, all))?;
    let mut bare = Project::open(bench, "bare", [side, rest], &ALEXNET.stage(PLAIN, ""))?;
    let ours = Side::new("packtrain", move || project.rate_of_training());
    let name = "without any of it";
    let others = vec![Side::new(name, move || bare.rate_of_training())];
    Ok(Contest { ours, others, stated: Vec::new(), aim: times(name, 0.97) })
}

fn crops(bench: &Bench, precision: &'static str) -> Result<Contest, BenchError> {
    let stages = Trained { images: 32, ..ALEXNET }.stage(VARIED, "")
        + &format!("  crops: {{ kind: oversample-eval, images: pack.test, model: train, mean: mean, precision: {precision} }}\n");
    let mut project = Project::open(bench, &format!("crops-{precision}"), [256, 64], &stages)?;
    let ours = Side::new("packtrain", move || project.rate_again("crops", "10 crops"));
    Ok(Contest { ours, others: inference(bench, ["crops", "alexnet", precision, "80"])?, stated: Vec::new(), aim: times(COMPILED, 1.0) })
}

fn features(bench: &Bench, precision: &'static str) -> Result<Contest, BenchError> {
    let weights = bench.path("resnet50.safetensors");
    write_weights(&weights, PretrainedNetwork::Resnet50)?;
    let file = weights.display();
    let stages = format!(
        "  features: {{ kind: extract-features, images: pack.test, network: resnet50, weights: {{ file: {file} }}, precision: {precision} }}\n"
    );
    let mut project = Project::open(bench, &format!("features-{precision}"), [256, 192], &stages)?;
    let ours = Side::new("packtrain", move || project.rate_again("features", "extracting features"));
    let others = inference(bench, ["features", "resnet50", precision, "32"])?;
    Ok(Contest { ours, others, stated: Vec::new(), aim: times(COMPILED, 1.0) })
}

fn start(bench: &Bench) -> Result<Contest, BenchError> {
    let stages = Trained { batch: 2, images: 8, ..ALEXNET }.stage(VARIED, "");
    let mut project = Project::open(bench, "start", [256, DRAWN - 8], &stages)?;
    let ours = Side::new("packtrain", move || project.seconds_to_first_step());
    let mut others = Vec::new();
    if let Some(programs) = bench.peers.programs(&PACKAGES)? {
        let script = bench.peers.path_of(SCRIPT);
        others.push(Side::new(PYTORCH, move || {
            Ok(measure::run(Command::new(programs.join("python")).arg(&script).args(["start", "alexnet", "fp32", "2"]))?.seconds)
        }));
    }
    Ok(Contest { ours, others, stated: Vec::new(), aim: times(PYTORCH, 2.0) })
}

fn times(side: &str, factor: f64) -> Aim {
    Aim::Times { side: side.to_owned(), factor }
}

/// PyTorch in its two fastest ways: a frozen script, and compiled with constants folded.
fn inference(bench: &Bench, [what, network, precision, batch]: [&str; 4]) -> Result<Vec<Side>, BenchError> {
    let mut sides = peer(bench, PYTORCH, &[what, network, precision, batch])?;
    sides.extend(peer(bench, COMPILED, &[what, network, precision, batch, "compile"])?);
    Ok(sides)
}

fn peer(bench: &Bench, name: &str, arguments: &[&str]) -> Result<Vec<Side>, BenchError> {
    let arguments: Vec<_> = arguments.iter().map(Path::new).collect();
    Ok(bench.peers.script(name, &PACKAGES, SCRIPT, &arguments)?.into_iter().collect())
}

impl Trained {
    /// The stage of a manifest, two epochs of it.
    fn stage(self, views: &str, augment: &str) -> String {
        let Trained { network, precision, batch, sides: [side, _], .. } = self;
        format!(
            "  train:\n    kind: train\n    train: pack.train\n    mean: mean\n    model: {network}\n    input: {{ size: {side}, {views}, scale: \
             0.0078125 }}\n    augment: {{ {augment} }}\n    optimizer: {{ sgd: {{ lr: '${{lr}}', momentum: 0.9 }} }}\n    epochs: 2\n    \
             batch: {batch}\n    precision: {precision}\n"
        )
    }
}

/// A project of which a stage runs again and again.
struct Project {
    folder: std::path::PathBuf,
    runs: u32,
}

impl Project {
    /// Packs drawn pictures at a side, so many of them in the part `test`, and runs everything once.
    fn open(bench: &Bench, name: &str, [side, tested]: [u32; 2], stages: &str) -> Result<Project, BenchError> {
        let folder = bench.path(&format!("networks-{name}"));
        // Its own root, whatever lies above it.
        let state = folder.join(".packtrain");
        fs::create_dir_all(&state).map_err(BenchError::at(&state))?;
        let pictures = bench.path("drawn");
        packtrain::demo::write_images(&pictures, 1).map_err(BenchError::at(&pictures))?;
        let images = pictures.display();
        let manifest = format!(
            "name: networks\nparams: {{ lr: 0.001 }}\nstages:\n  pack: {{ kind: pack, images: {images}, labels: parent-dir, size: {side}, \
             split: {{ test: {tested} }} }}\n  mean: {{ kind: compute-mean, images: pack.train }}\n{stages}"
        );
        let path = folder.join(MANIFEST);
        fs::write(&path, manifest).map_err(BenchError::at(&path))?;
        // Runs of another process had other learning rates.
        let mut project = Project { folder, runs: std::process::id() * 100 };
        project.run(&[])?.end()?;
        Ok(project)
    }

    fn rate_of_training(&mut self) -> Result<f64, BenchError> {
        let rate = self.new_rate();
        self.run(&["-p", &rate])?.rate("epoch 2/2")
    }

    /// Images a second of a stage that would be reused.
    fn rate_again(&mut self, stage: &str, activity: &str) -> Result<f64, BenchError> {
        self.run(&["--force", stage])?.rate(activity)
    }

    fn seconds_to_first_step(&mut self) -> Result<f64, BenchError> {
        let rate = self.new_rate();
        let mut run = self.run(&["-p", &rate])?;
        let (seconds, _) = run.progress("epoch 1/2")?.ok_or_else(|| BenchError::Unexpected("no step was told".to_owned()))?;
        run.end()?;
        Ok(seconds)
    }

    /// A learning rate that no training had: it runs from its start.
    fn new_rate(&mut self) -> String {
        self.runs += 1;
        format!("lr={}", 1e-3 + 1e-13 * f64::from(self.runs))
    }

    fn run(&mut self, arguments: &[&str]) -> Result<Run, BenchError> {
        let mut command = packtrain(&self.folder, &["run", MANIFEST, "--json", "--device", "cpu"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Instant::now();
        let failed = |source| BenchError::Start { command: "packtrain run".to_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        let events = child.stdout.take().ok_or_else(|| BenchError::Unexpected("a run has no output".to_owned()))?;
        Ok(Run { started, events: BufReader::new(events), child, said: String::new() })
    }
}

/// A run under way, whose events are read as they come.
struct Run {
    started: Instant,
    events: BufReader<ChildStdout>,
    child: Child,
    /// The last event.
    said: String,
}

impl Run {
    /// Images a second between the first and the last progress of an activity.
    fn rate(mut self, activity: &str) -> Result<f64, BenchError> {
        let (mut first, mut last) = (None, None);
        while let Some(progress) = self.progress(activity)? {
            first = first.or(Some(progress));
            last = Some(progress);
        }
        self.end()?;
        match (first, last) {
            (Some((began, before)), Some((ended, after))) if after > before => Ok((after - before) as f64 / (ended - began)),
            _ => Err(BenchError::Unexpected(format!("too little was told of {activity}"))),
        }
    }

    /// After how many seconds the next progress of an activity was told, and how many images were done; `None` if there is none.
    fn progress(&mut self, wanted: &str) -> Result<Option<(f64, u64)>, BenchError> {
        while self.read()? {
            let event = serde_json::from_str(&self.said);
            if let Ok(RunEvent::Stage { said: StageEvent::Progress { activity, done, .. }, .. }) = event
                && activity == wanted
            {
                return Ok(Some((self.started.elapsed().as_secs_f64(), done)));
            }
        }
        Ok(None)
    }

    /// Waits until the run is over.
    fn end(mut self) -> Result<(), BenchError> {
        let mut before = String::new();
        while self.read()? {
            before.clone_from(&self.said);
        }
        let command = "packtrain run".to_owned();
        let status = self.child.wait().map_err(|source| BenchError::Start { command: command.clone(), source })?;
        if status.success() { Ok(()) } else { Err(BenchError::Failed { command, status, said: before }) }
    }

    /// Reads the next event; whether there was one.
    fn read(&mut self) -> Result<bool, BenchError> {
        self.said.clear();
        Ok(self.events.read_line(&mut self.said).map_err(BenchError::at(Path::new("packtrain run")))? > 0)
    }
}

/// Weights that only have the right shapes: how long a network takes does not depend on its numbers while they are of usual size.
fn write_weights(path: &Path, network: PretrainedNetwork) -> Result<(), BenchError> {
    if path.exists() {
        return Ok(());
    }
    let unexpected = |what: String| BenchError::Unexpected(what);
    let sketch = network.sketch(PretrainedNetwork::SIZE).ok_or_else(|| unexpected("the network takes no such images".to_owned()))?;
    let tensor = |shape: &[usize]| -> Vec<u8> {
        let inputs: usize = shape.iter().skip(1).product();
        let value = |index: usize| if shape.len() == 1 { 1.0 } else { ((index % 7) as f32 - 3.0) / 2.0 / (inputs as f32).sqrt() };
        (0..shape.iter().product()).flat_map(|index| value(index).to_le_bytes()).collect()
    };
    let shapes = sketch.tensors().iter().map(|tensor| (&tensor.name, tensor.shape.iter().map(|&side| side as usize).collect::<Vec<_>>()));
    let tensors: Vec<_> = shapes.map(|(name, shape)| (name, tensor(&shape), shape)).collect();
    let views: Result<Vec<_>, _> =
        tensors.iter().map(|(name, bytes, shape)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))).collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| unexpected(error.to_string()))?;
    serialize_to_file(views, None, path).map_err(|error| unexpected(error.to_string()))
}
