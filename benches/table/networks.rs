//! Networks: training, ten crops, features, and the start of a training, beside PyTorch, on the CPU or on a card.
//!
//! Ours is what `packtrain run` does, with images read from their file: a whole epoch, or what lies between the first and the last
//! but one progress of an activity. PyTorch's is the bare network with its images in memory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use packtrain::event::{RunEvent, StageEvent};
use packtrain::stage::PretrainedNetwork;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use crate::bench::{Bench, Device, last_run, packtrain};
use crate::error::BenchError;
use crate::measure;
use crate::noise::Noise;
use crate::packing;
use crate::photographs::{Photographs, SMALL};
use crate::row::{Aim, Contest, Row, Side, Unit};

const MANIFEST: &str = "networks.yaml";
const PYTORCH: &str = "PyTorch";
const COMPILED: &str = "PyTorch, compiled";
const LIMIT: &str = "limit: multiplying, at the device's highest speed";
const SCRIPT: &str = "networks.py";
const PACKAGES: [&str; 2] = ["torch==2.11.0", "torchvision==0.26.0"];

/// What a training row trains.
#[derive(Clone, Copy)]
struct Trained {
    network: &'static str,
    precision: &'static str,
    classes: usize,
    batch: usize,
    /// Side of the inputs and of the packed images.
    sides: [usize; 2],
    /// Batches of an epoch, so many that it takes some seconds.
    batches: usize,
}

const ALEXNET: Trained = Trained { network: "alexnet", precision: "fp32", classes: 2, batch: 32, sides: [227, 256], batches: 6 };
const MINI: Trained = Trained { network: "mini-googlenet", precision: "fp32", classes: 10, batch: 64, sides: [32, 36], batches: 10 };
const DEEPER: Trained = Trained { network: "deeper-googlenet", precision: "fp32", classes: 200, batch: 64, sides: [64, 68], batches: 7 };

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
        let what = format!("the same from photographs of about 404×360, which are decoded and packed first, in {precision}");
        rows.push(Row::new(format!("files-features-{precision}"), what, Unit::Images, move |bench: &Bench| from_files(bench, precision)));
    }
    let what = "from nothing to the first step of alexnet, a batch of 2";
    rows.push(Row::new("worker-start", what, Unit::Seconds, start));
    rows
}

fn training(bench: &Bench, trained: Trained) -> Result<Contest, BenchError> {
    let trained = trained.on(bench.device);
    let Trained { network, precision, batch, .. } = trained;
    let mut project = Project::open(bench, &format!("{network}-{precision}"), &[trained.learnt_from()], |files| {
        trained.stage(&files[0], VARIED, "horizontal-flip: true")
    })?;
    let ours = Side::new("packtrain", move || project.rate_of_training());
    let side = |name, way| peer(bench, name, ["train", network, precision, &batch.to_string(), way]);
    match bench.device {
        Device::Cpu => {
            let others = [side(PYTORCH, "eager")?, side(LIMIT, "limit")?];
            Ok(contest(ours, others, times(PYTORCH, 1.05)))
        }
        Device::Cuda => {
            let others = [side(COMPILED, "compile")?, side(PYTORCH, "eager")?, side(LIMIT, "limit")?];
            Ok(contest(ours, others, times(COMPILED, 1.0)))
        }
    }
}

/// The other side prepares the least that there is for a batch: whole images of the right size, of which a mean is subtracted.
fn augmented(bench: &Bench) -> Result<Contest, BenchError> {
    let trained = ALEXNET.on(bench.device);
    let all = "horizontal-flip: true, rotation: 20, zoom: 0.15, shift: 0.2, shear: 0.15";
    let bare = Trained { sides: [trained.sides[0]; 2], ..trained };
    let open = |name, trained: Trained, views, augment| {
        Project::open(bench, name, &[trained.learnt_from()], |files| trained.stage(&files[0], views, augment))
    };
    let (mut project, mut bare) = (open("augmented", trained, VARIED, all)?, open("bare", bare, PLAIN, "")?);
    let ours = Side::new("packtrain", move || project.rate_of_training());
    let name = "without any of it";
    Ok(contest(ours, [Some(Side::new(name, move || bare.rate_of_training()))], times(name, 0.97)))
}

fn crops(bench: &Bench, precision: &'static str) -> Result<Contest, BenchError> {
    let trained = Trained { batches: 1, ..ALEXNET };
    let tested = Noise { images: bench.device.scaled(64), ..trained.learnt_from() };
    let mut project = Project::open(bench, &format!("crops-{precision}"), &[trained.learnt_from(), tested], |files| {
        let crops =
            format!("  crops: {{ kind: oversample-eval, images: {}, model: train, mean: mean, precision: {precision} }}\n", files[1]);
        trained.stage(&files[0], VARIED, "") + &crops
    })?;
    let ours = Side::new("packtrain", move || project.rate_again("crops", "10 crops"));
    Ok(contest(ours, inference(bench, ["crops", "alexnet", precision, "80"])?, times(COMPILED, 1.0)))
}

fn features(bench: &Bench, precision: &'static str) -> Result<Contest, BenchError> {
    let images = Noise { images: bench.device.scaled(192), side: 256, classes: 2 };
    let weights = weights(bench)?;
    let mut project =
        Project::open(bench, &format!("features-{precision}"), &[images], |files| extracting(&files[0], &weights, precision))?;
    let ours = Side::new("packtrain", move || project.rate_again("features", "extracting features"));
    Ok(contest(ours, inference(bench, ["features", "resnet50", precision, "32"])?, times(COMPILED, 1.0)))
}

/// PyTorch decodes a batch while the network has the one before it. Ours is the whole time of packing and then that of the network, without
/// what both need once.
fn from_files(bench: &Bench, precision: &'static str) -> Result<Contest, BenchError> {
    let (images, count) = (bench.path("photographs"), bench.device.scaled(384));
    if !Photographs::are_at(&images) {
        Photographs::drawn(&SMALL)?.write(&images, count)?;
    }
    let weights = weights(bench)?;
    let mut project = Project::open(bench, &format!("files-features-{precision}"), &[], |_| {
        format!("  pack: {{ kind: pack, images: {}, size: 256 }}\n", images.display()) + &extracting("pack.train", &weights, precision)
    })?;
    let ours = Side::new("packtrain", move || {
        let rate = project.run(&["--force", "pack", "--force", "features"])?.rate("extracting features")?;
        Ok(1.0 / (project.seconds_of("pack")? / count as f64 + 1.0 / rate))
    });
    let arguments = ["features", "resnet50", precision, "32", "compile", bench.device.name()].map(Path::new);
    let packages = [&PACKAGES[..], &packing::PACKAGES].concat();
    let peer = bench.peers.script(COMPILED, &packages, SCRIPT, &[&arguments[..], &[&images]].concat())?;
    Ok(contest(ours, [peer], times(COMPILED, 1.0)))
}

/// A stage of a manifest.
fn extracting(images: &str, weights: &Path, precision: &str) -> String {
    let file = weights.display();
    format!(
        "  features: {{ kind: extract-features, images: {images}, network: resnet50, weights: {{ file: {file} }}, precision: {precision} }}\n"
    )
}

fn start(bench: &Bench) -> Result<Contest, BenchError> {
    let trained = Trained { batch: 2, batches: 4, ..ALEXNET };
    let mut project = Project::open(bench, "start", &[trained.learnt_from()], |files| trained.stage(&files[0], VARIED, ""))?;
    let ours = Side::new("packtrain", move || project.seconds_to_first_step());
    let script = bench.peers.path_of(SCRIPT);
    let arguments = ["start", "alexnet", "fp32", "2", "eager", bench.device.name()];
    let peer = bench
        .peers
        .interpreter(&PACKAGES)?
        .map(|python| Side::new(PYTORCH, move || Ok(measure::run(Command::new(&python).arg(&script).args(arguments))?.seconds)));
    Ok(contest(ours, [peer], times(PYTORCH, 2.0)))
}

fn contest(ours: Side, others: impl IntoIterator<Item = Option<Side>>, aim: Aim) -> Contest {
    Contest { ours, others: others.into_iter().flatten().collect(), stated: Vec::new(), aim }
}

fn times(side: &str, factor: f64) -> Aim {
    Aim::Times { side: side.to_owned(), factor }
}

/// PyTorch in its two fastest ways: a frozen script, and compiled with constants folded.
fn inference(bench: &Bench, [what, network, precision, batch]: [&str; 4]) -> Result<[Option<Side>; 3], BenchError> {
    let side = |name, way| peer(bench, name, [what, network, precision, batch, way]);
    Ok([side(COMPILED, "compile")?, side(PYTORCH, "frozen")?, side(LIMIT, "limit")?])
}

fn peer(bench: &Bench, name: &str, arguments: [&str; 5]) -> Result<Option<Side>, BenchError> {
    let arguments: Vec<_> = arguments.into_iter().chain([bench.device.name()]).map(Path::new).collect();
    bench.peers.script(name, &PACKAGES, SCRIPT, &arguments)
}

impl Trained {
    /// As it is measured on a device: a card is done with an epoch for a CPU before it can be measured.
    fn on(self, device: Device) -> Trained {
        let batch = if device == Device::Cuda { self.batch.max(64) } else { self.batch };
        Trained { batch, batches: device.scaled(self.batches), ..self }
    }

    fn learnt_from(self) -> Noise {
        Noise { images: self.batch * self.batches, side: self.sides[1], classes: self.classes }
    }

    /// The stages of a manifest that train on a file, two epochs of it.
    fn stage(self, file: &str, views: &str, augment: &str) -> String {
        let Trained { network, precision, batch, sides: [side, _], .. } = self;
        format!(
            "  mean: {{ kind: compute-mean, images: {file} }}\n  train:\n    kind: train\n    train: {file}\n    mean: mean\n    model: \
             {network}\n    input: {{ size: {side}, {views}, scale: 0.0078125 }}\n    augment: {{ {augment} }}\n    optimizer: {{ sgd: \
             {{ lr: '${{lr}}', momentum: 0.9 }} }}\n    epochs: 2\n    batch: {batch}\n    precision: {precision}\n"
        )
    }
}

/// A project of which a stage runs again and again.
struct Project {
    folder: PathBuf,
    device: Device,
    runs: u32,
}

impl Project {
    /// Of stages that take files of noise, by the references to them in a manifest; runs all of them once.
    fn open(bench: &Bench, name: &str, noise: &[Noise], stages: impl Fn(&[String]) -> String) -> Result<Project, BenchError> {
        let folder = bench.path(&format!("networks-{name}"));
        // Its own root, whatever lies above it.
        let state = folder.join(".packtrain");
        fs::create_dir_all(&state).map_err(BenchError::at(&state))?;
        let files = noise
            .iter()
            .map(|noise| Ok(format!("{{ file: {} }}", noise.file(bench)?.display())))
            .collect::<Result<Vec<_>, BenchError>>()?;
        let path = folder.join(MANIFEST);
        let manifest = format!("name: networks\nparams: {{ lr: 0.001 }}\nstages:\n{}", stages(&files));
        fs::write(&path, manifest).map_err(BenchError::at(&path))?;
        // Runs of another process had other learning rates.
        let mut project = Project { folder, device: bench.device, runs: std::process::id() * 100 };
        project.run(&[])?.end()?;
        Ok(project)
    }

    fn rate_of_training(&mut self) -> Result<f64, BenchError> {
        let rate = self.new_rate();
        self.run(&["-p", &rate])?.rate_of_last_epoch()
    }

    /// Images a second of a stage that would be reused.
    fn rate_again(&mut self, stage: &str, activity: &str) -> Result<f64, BenchError> {
        self.run(&["--force", stage])?.rate(activity)
    }

    /// How long a stage of the last run took.
    fn seconds_of(&self, stage: &str) -> Result<f64, BenchError> {
        let record = last_run(&self.folder.join(".packtrain/runs"))?;
        let found = record.stages.iter().find(|of_run| of_run.stage.stage.as_str() == stage);
        found.map(|stage| stage.seconds).ok_or_else(|| BenchError::Unexpected(format!("the run had no stage `{stage}`")))
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
        let mut command = packtrain(&self.folder, &["run", MANIFEST, "--json", "--device", self.device.name()]);
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
    /// Images a second, from the beginning of the last epoch to its end.
    fn rate_of_last_epoch(mut self) -> Result<f64, BenchError> {
        let mut rate = None;
        while let Some(said) = self.next()? {
            if let StageEvent::Epoch(metrics) = said {
                rate = Some(metrics.images_per_second);
            }
        }
        self.end()?;
        rate.ok_or_else(|| BenchError::Unexpected("no epoch was told".to_owned()))
    }

    /// Images a second between the first progress of an activity and the last one before its end: what is told comes a batch late, but
    /// for the end.
    fn rate(mut self, activity: &str) -> Result<f64, BenchError> {
        let mut told = Vec::new();
        while let Some(progress) = self.progress(activity)? {
            told.push(progress);
        }
        self.end()?;
        told.pop();
        match (told.first(), told.last()) {
            (Some((began, before)), Some((ended, after))) if after > before => Ok((after - before) as f64 / (ended - began)),
            _ => Err(BenchError::Unexpected(format!("too little was told of {activity}"))),
        }
    }

    /// After how many seconds the next progress of an activity was told, and how many images were done; `None` if there is none.
    fn progress(&mut self, wanted: &str) -> Result<Option<(f64, u64)>, BenchError> {
        while let Some(said) = self.next()? {
            if let StageEvent::Progress { activity, done, .. } = said
                && activity == wanted
            {
                return Ok(Some((self.started.elapsed().as_secs_f64(), done)));
            }
        }
        Ok(None)
    }

    /// What a stage says next; `None` once the run has nothing more to say.
    fn next(&mut self) -> Result<Option<StageEvent>, BenchError> {
        while self.read()? {
            if let Ok(RunEvent::Stage { said, .. }) = serde_json::from_str(&self.said) {
                return Ok(Some(said));
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

/// A file of weights for ResNet-50 that only have the right shapes: how long a network takes does not depend on its numbers while they are of
/// usual size.
fn weights(bench: &Bench) -> Result<PathBuf, BenchError> {
    let path = bench.path("resnet50.safetensors");
    if path.exists() {
        return Ok(path);
    }
    let unexpected = |what: String| BenchError::Unexpected(what);
    let sketch = PretrainedNetwork::Resnet50
        .sketch(PretrainedNetwork::SIZE)
        .ok_or_else(|| unexpected("the network takes no such images".to_owned()))?;
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
    serialize_to_file(views, None, &path).map_err(|error| unexpected(error.to_string()))?;
    Ok(path)
}
