//! `packtrain import`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::bundle::{Imported, OpenedBundle, Taken};
use crate::cache::{Cache, Project};
use crate::cli::error::CommandError;
use crate::cli::project::{Loaded, ManifestArgs};
use crate::cli::{ExitCode, Global, bundle, completions, plan, profile, project};
use crate::manifest::{self, Override};
use crate::plan::{Plan, forecast};
use crate::record::RunRecord;

/// Take a run that `packtrain bundle` wrote
///
/// Checks every digest, then says which stages need not run here. A bundle of which anything is damaged is refused as a whole. Images count by content: name their place with `-p`, and what came along
/// is reused.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The bundle
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// The folder for the manifest; by default one with the pipeline's name, in the current folder
    #[arg(value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Set a parameter of the manifest for the plan, such as the place of the images; may be given several times
    #[arg(short, long = "param", value_name = "NAME=VALUE", add = completions::params())]
    param: Vec<Override>,
    /// Only check it and say what would be taken
    #[arg(long)]
    dry_run: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ImportArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let mut opened = OpenedBundle::open(&args.file)?;
    let pipeline = opened.record().provenance.pipeline.clone();
    let current = project::current_folder()?;
    let folder = manifest::absolute(args.folder.as_deref().unwrap_or(Path::new(&pipeline)), &current);
    let manifest = folder.join(format!("{pipeline}.yaml"));
    let profile = profile::chosen(global, &folder, &current)?;
    let project = Project::of(&folder, profile::state_dir(global, profile.as_ref()));
    let imported = if args.dry_run {
        opened.check_manifest(&manifest)?;
        None
    } else {
        let cache = Cache::open(&project.state)?;
        let imported = opened.import(&cache, &manifest)?;
        cache.memo().save()?;
        Some(imported)
    };
    let shown = manifest.strip_prefix(&current).unwrap_or(&manifest);
    let arguments = ManifestArgs::new(shown.to_owned(), args.param.clone());
    // A manifest whose images are not there yet can be planned once they are.
    let loaded = imported.is_some().then(|| arguments.load(global)).transpose();
    let loaded = match loaded {
        Err(CommandError::Manifest(_)) if args.param.is_empty() => None,
        loaded => loaded?,
    };
    let told = Told { opened: &opened, imported: imported.as_ref(), manifest: shown, loaded: loaded.as_ref() };
    if args.json { told.json() } else { told.text() }
}

/// What an import has to say.
struct Told<'a> {
    opened: &'a OpenedBundle,
    /// Nothing after a dry run.
    imported: Option<&'a Imported>,
    manifest: &'a Path,
    /// The manifest, if what it reads is there.
    loaded: Option<&'a Loaded>,
}

impl Told<'_> {
    fn json(&self) -> Result<ExitCode, CommandError> {
        let forecasts = match self.loaded {
            Some(loaded) => {
                let cache = loaded.cache()?;
                let forecasts = forecast(&self.plans(loaded), &cache)?;
                cache.memo().save()?;
                Some(forecasts)
            }
            None => None,
        };
        let run = &self.opened.record().id;
        let told = json!({
            "run": run, "manifest": self.manifest, "stages": self.opened.stages(), "imported": self.imported, "plan": forecasts
        });
        writeln!(io::stdout(), "{told:#}")?;
        Ok(ExitCode::Success)
    }

    fn text(&self) -> Result<ExitCode, CommandError> {
        let mut out = io::stdout().lock();
        let record = self.opened.record();
        writeln!(out, "the run {} of {}, begun {}\n", record.id, record.provenance.pipeline, record.provenance.started)?;
        write!(out, "{}", bundle::table(&self.opened.stages()))?;
        let Some(imported) = self.imported else {
            writeln!(out, "\neverything in it is sound; nothing was taken, because of --dry-run")?;
            return Ok(ExitCode::Success);
        };
        writeln!(out, "\ntook {} and {}", taken(&imported.results, "result"), taken(&imported.objects, "object"))?;
        if let Some(name) = &imported.name_taken {
            writeln!(io::stderr(), "warning: the run has no name here: `{name}` belongs to another run")?;
        }
        let Some(loaded) = self.loaded else {
            writeln!(out, "the manifest is {}", self.manifest.display())?;
            writeln!(out, "\nnext, with the places of what it reads: {}", command(record, self.manifest))?;
            return Ok(ExitCode::Success);
        };
        writeln!(out, "the manifest is {}; a run of it would do this:\n", self.manifest.display())?;
        drop(out);
        plan::print(&self.plans(loaded), &loaded.cache()?, false)
    }

    /// The plans of the variants that were run.
    fn plans<'a>(&self, loaded: &'a Loaded) -> Vec<Plan<'a>> {
        let variants = &self.opened.record().provenance.variants;
        let was_run =
            |plan: &Plan<'_>| plan.pipeline.variant.as_ref().is_none_or(|own| variants.iter().any(|variant| variant.variant == own.name));
        loaded.plans().into_iter().filter(was_run).collect()
    }
}

fn taken(Taken { new, known }: &Taken, what: &str) -> String {
    let many = if *new == 1 { "" } else { "s" };
    match known {
        0 => format!("{new} {what}{many}"),
        known => format!("{new} {what}{many} ({known} more {} here already)", if *known == 1 { "was" } else { "were" }),
    }
}

fn command(record: &RunRecord, manifest: &Path) -> String {
    let inputs = record.provenance.portable.iter().flat_map(|portable| portable.inputs.keys());
    let places: String = inputs.map(|param| format!(" -p {param}=…")).collect();
    format!("packtrain plan {}{places}", manifest.display())
}
