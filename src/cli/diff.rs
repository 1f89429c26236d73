//! `packtrain diff`.

use std::fs;
use std::io::{self, Write};

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions, project};
use crate::compare::{self, RunDiff};
use crate::key::{Change, Place, StagePath};
use crate::manifest::{self, Family};
use crate::record::{RunHead, RunProvenance, RunRecord, RunReference};
use crate::report;

/// Say what differs between two runs: parameters, inputs, metrics, times, machines
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The old run; alone, the new one, which is compared with the run of its pipeline before it
    #[arg(value_name = "OLD", add = completions::runs())]
    old: RunReference,
    /// The new run
    #[arg(value_name = "NEW", add = completions::runs())]
    new: Option<RunReference>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DiffArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scope = Scope::here(global)?;
    let (old, new) = match &args.new {
        Some(new) => (scope.find(&args.old)?, scope.find(new)?),
        None => {
            let new = scope.find(&args.old)?;
            (before(&new, &scope)?, new)
        }
    };
    let mut diff = compare::diff(&old, &new, &scope.cache)?;
    add_places(&mut diff, &new)?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &diff).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report::write_diff(&diff, &mut out)?;
    }
    Ok(ExitCode::Success)
}

/// The run of the same pipeline before this one.
fn before(new: &RunRecord, scope: &Scope) -> Result<RunRecord, CommandError> {
    let pipeline = &new.provenance.pipeline;
    let older = scope.runs.heads().iter().skip_while(|head| head.id != new.id).skip(1);
    let found: Option<&RunHead> = older.into_iter().find(|head| head.pipeline == *pipeline);
    let head = found.ok_or_else(|| CommandError::FirstRun { run: new.id.clone(), pipeline: pipeline.clone() })?;
    Ok(scope.runs.record(head)?)
}

/// Where the new values are written, if the manifest and the values of its parameters are still what they were when it ran.
fn add_places(diff: &mut RunDiff, new: &RunRecord) -> Result<(), CommandError> {
    let RunProvenance { manifest, manifest_text, params, .. } = &new.provenance;
    if fs::read_to_string(manifest).ok().as_ref() != Some(manifest_text) {
        return Ok(());
    }
    let current = project::current_folder()?;
    let shown = manifest.strip_prefix(&current).unwrap_or(manifest);
    let Ok(mut family) = manifest::load(shown, &[], &current) else { return Ok(()) };
    family.variants.retain(|pipeline| params.iter().all(|(name, value)| pipeline.params.get(name) == Some(value)));
    for stage in &mut diff.stages {
        for change in stage.changes.iter_mut().flatten() {
            if let Change::Parameter { path, place, .. } = change {
                *place = place_of(&family, &stage.stage, path);
            }
        }
    }
    Ok(())
}

fn place_of(family: &Family, path: &StagePath, key: &str) -> Option<Place> {
    let of_variant = |pipeline: &&manifest::Pipeline| pipeline.variant.as_ref().map(|variant| &variant.name) == path.variant.as_ref();
    let pipeline = family.variants.iter().find(of_variant)?;
    pipeline.stages.iter().find(|stage| stage.id == path.stage)?.written.place(key)
}
