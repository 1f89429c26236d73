//! `packtrain predict`.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::artifact::{ranked_classes, write_csv};
use crate::cache::Pins;
use crate::cli::error::CommandError;
use crate::cli::project::{self, ManifestArgs};
use crate::cli::run::stop_by_signal;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions, profile, show};
use crate::event::{SkippedImage, StageEvent};
use crate::key::StagePath;
use crate::manifest::PipelineInputSource;
use crate::predict::{Given, PredictOptions, Predicted, PredictedImage, Predictor};
use crate::record::{RunRecord, RunReference, StageRecord};
use crate::report::{JobBar, Table};
use crate::stage::{Device, Fit, ImageList, StageContext};

/// Say of images what a model takes them for
///
/// Images are packed as those were that the model was trained on, and get the very numbers that an evaluation of them would give. Those that cannot be read are named, the others go on, and the exit code is 1.
#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// A `train` stage of the latest run, with the variant and a `/` before it where there are several; or a model's file
    #[arg(value_name = "MODEL")]
    model: String,
    /// Images, folders of them, archives, folders within archives
    #[arg(value_name = "IMAGES", required = true)]
    images: Vec<PathBuf>,
    /// The stage's model in this run
    #[arg(long, value_name = "RUN", default_value = "last", add = completions::runs())]
    run: RunReference,
    /// The stage is one of this manifest's pipeline
    #[arg(short = 'f', long, value_name = "MANIFEST", add = completions::manifests())]
    manifest: Option<PathBuf>,
    /// Average over 10 crops of each image (corners, centre, all of them mirrored too), or over 5
    #[arg(long, value_name = "10|5", value_parser = parse_crops)]
    crops: Option<u32>,
    /// How many classes to tell of each image, the most probable first
    #[arg(long, value_name = "K", default_value = "1")]
    top: NonZeroUsize,
    /// Where networks run: auto, cpu, cuda or cuda:N; by default as the profile says, else auto
    #[arg(long)]
    device: Option<Device>,
    /// Pack images at this side in pixels; by default as the model's training images were
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=4096))]
    size: Option<u32>,
    /// How images become squares: crop or stretch; by default as the model's training images did
    #[arg(long, value_name = "FIT")]
    fit: Option<Fit>,
    /// For a classifier of features, the weights of its network, if they are no longer where the manifest says
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Print as comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// A class of which a model thinks.
#[derive(Debug, Serialize)]
struct Guess<'a> {
    class: &'a str,
    probability: f32,
}

pub(super) fn run(args: &PredictArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scratch = tempfile::tempdir()?;
    let list = ImageList::find(&args.images, scratch.path());
    let path = project::current_folder()?.join(&args.model);
    let mut predicted = if path.is_file() {
        let given = Given { size: args.size, fit: args.fit, weights: &|_| None };
        args.ask(&Predictor::of_file(Path::new(&args.model), &given)?, &list, scratch.path(), global)?
    } else {
        let scope = args.manifest.as_ref().map_or_else(|| Scope::here(global), |manifest| Scope::of_manifest(manifest, global))?;
        let record = scope.find(&args.run)?;
        let stage = the_stage(&args.model, &record)?;
        let weights = |stage: &StagePath| args.weights.clone().or_else(|| weights_of(stage, &record, global));
        let given = Given { size: args.size, fit: args.fit, weights: &weights };
        let stay = scope.cache.stay()?;
        let predictor = Predictor::of_result(stage, &record, &scope.cache, &given)?;
        let pins = Pins::of_results(&predictor.results);
        let predicted = stay.away(&pins, || args.ask(&predictor, &list, scratch.path(), global))??;
        drop(stay);
        scope.cache.memo().save()?;
        predicted
    };
    predicted.unreadable.extend(list.missing);
    args.print(&predicted, &mut io::stdout().lock())?;
    let mut told = io::stderr().lock();
    for SkippedImage { path, reason } in &predicted.unreadable {
        writeln!(told, "error: {path}: {reason}")?;
    }
    Ok(if predicted.unreadable.is_empty() { ExitCode::Success } else { ExitCode::StageFailed })
}

/// The only stage of the run that is meant.
fn the_stage<'a>(what: &str, record: &'a RunRecord) -> Result<&'a StageRecord, CommandError> {
    match show::wanted(what, record)?[..] {
        [(stage, _)] => Ok(stage),
        ref several => {
            let found = several.iter().map(|(stage, _)| stage.stage.to_string()).collect();
            Err(CommandError::SeveralModels { what: what.to_owned(), found })
        }
    }
}

/// Where the manifest of a run says now that the weights of a stage are; `None` if it can no longer be read.
fn weights_of(stage: &StagePath, record: &RunRecord, global: &Global) -> Option<PathBuf> {
    let loaded = ManifestArgs::new(record.provenance.manifest.clone(), Vec::new()).unchecked(global).ok()?;
    let pipelines = loaded.family.variants.iter();
    let mut stages = pipelines.flat_map(|pipeline| pipeline.stages.iter().map(|stage| (pipeline.stage_path(&stage.id), stage)));
    let (_, found) = stages.find(|(path, _)| path == stage)?;
    found.inputs.iter().filter(|input| input.name == "weights").find_map(|input| match &input.source {
        PipelineInputSource::File(path) => Some(path.clone()),
        _ => None,
    })
}

impl PredictArgs {
    fn ask(&self, predictor: &Predictor, list: &ImageList, scratch: &Path, global: &Global) -> Result<Predicted, CommandError> {
        let current = project::current_folder()?;
        let profile = profile::chosen(global, &current, &current)?;
        let device = self.device.or(profile.and_then(|profile| profile.device)).unwrap_or_default();
        let stop = stop_by_signal()?;
        let bar = JobBar::new();
        let mut hear = |said: StageEvent| bar.hear(&said);
        let mut context = StageContext { emit: &mut hear, cancelled: stop.cancelled(), deadline: None };
        Ok(predictor.predict(&list.images, PredictOptions { crops: self.crops, device }, scratch, &mut context)?)
    }

    fn print(&self, predicted: &Predicted, out: &mut dyn Write) -> io::Result<()> {
        match () {
            () if self.json => self.print_json(predicted, out),
            () if self.csv && self.top.get() == 1 => print_all_classes(predicted, out),
            () if self.csv => self.table(predicted, |probability| probability.to_string()).write_csv(out),
            () => write!(out, "{}", self.table(predicted, |probability| format!("{:.2} %", probability * 100.0))),
        }
    }

    fn print_json(&self, predicted: &Predicted, out: &mut dyn Write) -> io::Result<()> {
        let image = |image: &PredictedImage| {
            let PredictedImage { path, probabilities } = image;
            json!({ "path": path, "top": self.guesses(predicted, image), "probabilities": probabilities })
        };
        let images: Vec<_> = predicted.images.iter().map(image).collect();
        let told = json!({ "classes": predicted.class_names, "images": images, "unreadable": predicted.unreadable });
        writeln!(out, "{told:#}")
    }

    /// A row for each class that is told of an image.
    fn table(&self, predicted: &Predicted, number: impl Fn(f32) -> String) -> Table {
        let several = self.top.get() > 1;
        let header = ["path", "rank", "class", "probability"];
        let mut table = Table::with_header(header.into_iter().filter(|name| several || *name != "rank"));
        for image in &predicted.images {
            for (rank, Guess { class, probability }) in self.guesses(predicted, image).into_iter().enumerate() {
                let rank = several.then(|| (rank + 1).to_string());
                let cells = [Some(image.path.clone()), rank, Some(class.to_owned()), Some(number(probability))];
                table.push(cells.into_iter().flatten());
            }
        }
        table
    }

    fn guesses<'a>(&self, predicted: &'a Predicted, image: &PredictedImage) -> Vec<Guess<'a>> {
        let ranked = ranked_classes(&image.probabilities).into_iter().take(self.top.get());
        let guess = |class: usize| Guess { class: &predicted.class_names[class], probability: image.probabilities[class] };
        ranked.map(guess).collect()
    }
}

/// A row for each image under the names that `predictions.csv` has.
fn print_all_classes(predicted: &Predicted, out: &mut dyn Write) -> io::Result<()> {
    let fixed = ["path", "predicted", "probability"].map(str::to_owned);
    let header = fixed.into_iter().chain(predicted.class_names.iter().map(|name| format!("p({name})"))).collect::<Vec<_>>();
    let row = |PredictedImage { path, probabilities }: &PredictedImage| -> Vec<String> {
        let best = ranked_classes(probabilities)[..].first().copied();
        let name = best.map_or_else(String::new, |class| predicted.class_names[class].clone());
        let probability = best.map_or_else(String::new, |class| probabilities[class].to_string());
        [path.clone(), name, probability].into_iter().chain(probabilities.iter().map(f32::to_string)).collect()
    };
    write_csv(out, std::iter::once(header).chain(predicted.images.iter().map(row)))
}

fn parse_crops(text: &str) -> Result<u32, String> {
    match text {
        "10" => Ok(10),
        "5" => Ok(5),
        _ => Err("crops are 10 or 5".to_owned()),
    }
}
