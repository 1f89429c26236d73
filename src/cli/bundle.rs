//! `packtrain bundle`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::bundle::{Bundle, ObjectChoice, REPORT, Scrub, SuppliedStage};
use crate::cache::{Cache, Project};
use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions, profile, project};
use crate::dossier;
use crate::record::{RunRecord, RunReference};
use crate::report::{self, Table};

/// Write a run into one .zip, to hand it over
///
/// The manifest, resolved; records and digests; results to read; the report; and outputs, so that `packtrain import` can reuse them. It names no folder of this machine and no variable of its environment. The same run gives the same bytes.
#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The run: an id or the beginning of one, a name, `last`, `last~1`
    #[arg(value_name = "RUN", default_value = "last", add = completions::runs())]
    run: RunReference,
    /// The file to write; by default the pipeline's name with `.zip`, in the current folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which outputs come along, so that they need not be made again
    #[arg(long, value_name = "WHICH", default_value = "models")]
    objects: Objects,
    /// How others may use it: an SPDX identifier such as CC-BY-4.0, an address, or a sentence
    #[arg(long, value_name = "TERMS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    license: Option<String>,
    /// Leave out the report, which shows some of the images
    #[arg(long)]
    no_report: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Which outputs come along.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Objects {
    /// Those of every stage
    All,
    /// Those of every stage but the ones that give packed images or features
    Models,
    /// None: the results can be read, but not reused
    None,
}

pub(super) fn run(args: &BundleArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scope = Scope::here(global)?;
    let record = scope.find(&args.run)?;
    let scrub = scrub(&record, global)?;
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.zip", record.provenance.pipeline)));
    let objects = match args.objects {
        Objects::All => ObjectChoice::All,
        Objects::Models => ObjectChoice::Models,
        Objects::None => ObjectChoice::None,
    };
    let stay = scope.cache.stay()?;
    let mut bundle = Bundle::gather(&record, objects, &scope.cache, &scrub)?;
    if let Some(terms) = &args.license {
        bundle.license(terms.clone());
    }
    if !args.no_report {
        bundle.add(REPORT, page(&bundle, &scope.cache, &scrub)?, "The run as a page: graph, curves, evaluations, some of the images");
    }
    let bytes = bundle.write(&path)?;
    drop(stay);
    scope.cache.memo().save()?;
    for (file, folder) in bundle.told(&scrub) {
        writeln!(io::stderr(), "warning: {file} of the bundle names {folder}, because the manifest or a result does")?;
    }
    let mut out = io::stdout().lock();
    if args.json {
        let told = json!({ "file": path, "bytes": bytes, "run": record.id, "objects": objects, "stages": bundle.stages() });
        writeln!(out, "{told:#}")?;
        return Ok(ExitCode::Success);
    }
    write!(out, "{}", table(bundle.stages()))?;
    writeln!(out, "\n{}: the run {} of {}, {}", path.display(), record.id, record.provenance.pipeline, report::bytes(bytes))?;
    Ok(ExitCode::Success)
}

/// The report of the run, as the bundle tells it: without the places of this machine.
fn page(bundle: &Bundle, cache: &Cache, scrub: &Scrub) -> Result<Vec<u8>, CommandError> {
    let mut dossiers = dossier::gather(vec![bundle.record().clone()], cache)?;
    let stages = dossiers.iter_mut().flat_map(|dossier| &mut dossier.chapters).flat_map(|chapter| &mut chapter.stages);
    // Of what cannot be read the path is told.
    stages.flat_map(|stage| &mut stage.missing).for_each(|reason| *reason = scrub.text(reason));
    let mut page = Vec::new();
    report::write_page(&dossiers, &mut page)?;
    Ok(page)
}

/// What comes along of every stage.
pub(super) fn table(stages: &[SuppliedStage]) -> Table {
    let mut table = Table::with_header(["stage", "kind", "result"]);
    for SuppliedStage { stage, kind, supplied, .. } in stages {
        let comes = if *supplied { "comes along" } else { "stays out" };
        table.push([stage.to_string(), kind.clone(), comes.to_owned()]);
    }
    table
}

/// The folders that a bundle is not to name: the project's, the cache's, the manifest's, the user's and the current one.
fn scrub(record: &RunRecord, global: &Global) -> Result<Scrub, CommandError> {
    let current = project::current_folder()?;
    let profile = profile::chosen(global, &current, &current)?;
    let Project { root, state } = Project::of(&current, profile::state_dir(global, profile.as_ref()));
    #[expect(clippy::disallowed_methods, reason = "what is not to be told has to be known")]
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let manifest = record.provenance.manifest.parent().map(PathBuf::from);
    let folders = [Some(root), Some(state).filter(|state| state.is_absolute()), Some(current), manifest, home];
    Ok(Scrub::new(folders.iter().flatten().map(PathBuf::as_path)))
}
