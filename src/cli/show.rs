//! `packtrain show`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::artifact::{ArtifactError, Evaluation, FeaturesFile, History, ImagesFile, Mean, ModelOutline, OversampleEvaluation, RowLabels};
use crate::cache::StoredFile;
use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions, project};
use crate::nearest::nearest;
use crate::record::{RunRecord, RunReference, StageRecord};
use crate::report;

/// Show what a stage gave, or what is in a file
///
/// It shows evaluations, histories, means, images, features and models.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A stage of the latest run, `stage.output`, either with the variant and a `/` before it; or a file
    #[arg(value_name = "STAGE|FILE")]
    what: String,
    /// The stage's result in this run
    #[arg(long, value_name = "RUN", default_value = "last", add = completions::runs())]
    run: RunReference,
    /// The stage is one of this manifest's pipeline
    #[arg(short = 'f', long, value_name = "MANIFEST", add = completions::manifests())]
    manifest: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// An artifact with its content, as far as it is shown.
enum Shown {
    Evaluation(Evaluation),
    Oversample(OversampleEvaluation),
    History(History),
    Mean(Mean),
    Images([usize; 4], RowLabels),
    Features([usize; 2], RowLabels),
    Model(ModelOutline),
}

pub(super) fn run(args: &ShowArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let path = project::current_folder()?.join(&args.what);
    let mut out = io::stdout().lock();
    if path.is_file() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = Shown::read(&path, &name)?.ok_or_else(|| CommandError::NothingToShow { what: args.what.clone() })?;
        if args.json {
            writeln!(out, "{:#}", shown.json())?
        } else {
            write!(out, "{}", shown.text())?
        }
        return Ok(ExitCode::Success);
    }
    let scope = args.manifest.as_ref().map_or_else(|| Scope::here(global), |manifest| Scope::of_manifest(manifest, global))?;
    let record = scope.find(&args.run)?;
    let mut results = Vec::new();
    for (stage, output) in wanted(&args.what, &record)? {
        for (name, file, shown) in outputs(stage, output.as_deref(), &scope)? {
            results.push((format!("{}.{name}", stage.stage), file, shown));
        }
    }
    if results.is_empty() {
        return Err(CommandError::NothingToShow { what: args.what.clone() });
    }
    print(&results, args.json, &mut out)?;
    Ok(ExitCode::Success)
}

/// An output with its name and its file's.
type Named = (String, String, Shown);

fn print(results: &[Named], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        let told = results.iter().map(|(name, file, shown)| json!({ "output": name, "file": file, "content": shown.json() }));
        return writeln!(out, "{:#}", told.collect::<Value>());
    }
    for (index, (name, file, shown)) in results.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        write!(out, "{gap}{name} ({file}): {}", shown.text())?;
    }
    Ok(())
}

/// The stages of the run that are meant, of all variants if none is named, and the output if one is.
pub(super) fn wanted<'a>(what: &str, record: &'a RunRecord) -> Result<Vec<(&'a StageRecord, Option<String>)>, CommandError> {
    let stages = record.stages.iter();
    // A variant's name may have dots, a stage's has none.
    let (place, output) = match what.rsplit_once('.').filter(|(_, output)| !output.contains(['/', '='])) {
        Some((place, output)) => (place, Some(output.to_owned())),
        None => (what, None),
    };
    let fits = |stage: &&StageRecord| stage.stage.stage.as_str() == place || stage.stage.to_string() == place;
    let found: Vec<_> = stages.clone().filter(fits).map(|stage| (stage, output.clone())).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<String> = stages.map(|stage| stage.stage.stage.to_string()).collect();
    let meant = nearest(place, known.iter().map(String::as_str)).map(str::to_owned);
    Err(CommandError::UnknownResult { what: what.to_owned(), run: record.id.clone(), pipeline: record.provenance.pipeline.clone(), meant })
}

/// The outputs of a stage that can be shown; an error if the cache has not got them any more.
fn outputs(stage: &StageRecord, output: Option<&str>, scope: &Scope) -> Result<Vec<Named>, CommandError> {
    let gone = || CommandError::ResultGone { stage: stage.stage.clone() };
    let Some(key) = stage.key else { return Err(CommandError::NoResult { stage: stage.stage.clone() }) };
    let record = scope.cache.action(&key)?.ok_or_else(gone)?;
    let mut shown = Vec::new();
    for (name, StoredFile { file, digest, .. }) in record.outputs.iter().filter(|(name, _)| output.is_none_or(|output| output == *name)) {
        let path = scope.cache.store().path(digest);
        if !path.is_file() {
            return Err(gone());
        }
        shown.extend(Shown::read(&path, file)?.map(|content| (name.clone(), file.clone(), content)));
    }
    Ok(shown)
}

impl Shown {
    /// Reads a file by what is in it; `None` for one that is nothing to show. `name` is what users call it.
    fn read(path: &Path, name: &str) -> Result<Option<Shown>, ArtifactError> {
        Ok(match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("json") => Shown::parse(&fs::read(path).map_err(|source| ArtifactError::Io { path: path.to_owned(), source })?),
            Some("safetensors") => Some(Shown::Model(ModelOutline::read(path)?)),
            Some("h5" | "hdf5") => Some(match ImagesFile::open(path) {
                Ok(images) => Shown::Images([images.len(), images.size().0, images.size().1, 3], images.rows().clone()),
                Err(_) => {
                    let FeaturesFile { values, dimensions, rows } = FeaturesFile::open(path)?;
                    Shown::Features([values.len() / dimensions.max(1), dimensions], rows)
                }
            }),
            _ => None,
        })
    }

    fn parse(bytes: &[u8]) -> Option<Shown> {
        let oversample = || serde_json::from_slice(bytes).map(Shown::Oversample);
        let evaluation = || serde_json::from_slice(bytes).map(Shown::Evaluation);
        let history = || serde_json::from_slice(bytes).map(Shown::History);
        let mean = || serde_json::from_slice(bytes).map(Shown::Mean);
        oversample().or_else(|_| evaluation()).or_else(|_| history()).or_else(|_| mean()).ok()
    }

    fn text(&self) -> String {
        match self {
            Shown::Evaluation(evaluation) => report::show_evaluation(evaluation),
            Shown::Oversample(evaluation) => report::show_oversample(evaluation),
            Shown::History(history) => format!("{} epochs\n\n{}", history.epochs.len(), report::show_history(history)),
            Shown::Mean(mean) => report::show_mean(mean),
            Shown::Images(shape, rows) => report::show_rows("images", shape, rows),
            Shown::Features(shape, rows) => report::show_rows("features", shape, rows),
            Shown::Model(model) => format!("a model\n{}", report::show_model(model)),
        }
    }

    fn json(&self) -> Value {
        match self {
            Shown::Evaluation(evaluation) => json!(evaluation),
            Shown::Oversample(evaluation) => json!(evaluation),
            Shown::History(history) => json!(history),
            Shown::Mean(mean) => json!(mean),
            Shown::Images(shape, rows) => rows_json(shape, rows),
            Shown::Features(shape, rows) => rows_json(shape, rows),
            Shown::Model(ModelOutline { header, tensors }) => json!({ "header": header, "tensors": tensors }),
        }
    }
}

fn rows_json(shape: impl Serialize, rows: &RowLabels) -> Value {
    let classes = rows.class_counts().into_iter().map(|(name, count)| json!({ "name": name, "rows": count }));
    json!({ "shape": shape, "classes": classes.collect::<Vec<_>>() })
}
