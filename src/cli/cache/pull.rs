//! `packtrain cache pull`.

use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::project::{ManifestArgs, SelectionArgs};
use crate::cli::run::{Executed, Prepared, execute, reporter, stop_by_signal};
use crate::cli::{ExitCode, Global};
use crate::event::{FromRemote, RunOutcome};
use crate::exec::{Outside, RunOptions};
use crate::record::{RunRecord, StageState};
use crate::report;

/// Take from the remote cache what a run of a manifest would use, and run nothing
///
/// `run` takes results from the remote cache by itself; this does it ahead, for work without a network.
#[derive(Debug, Args)]
pub(super) struct PullArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Print every event as a line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PullArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    let remote = loaded.remote(global)?.ok_or(CommandError::NoRemote("take from"))?;
    let options = RunOptions { remote: Some(Arc::new(remote)), fetch_only: true, ..RunOptions::default() };
    let prepared = Prepared { cache: loaded.cache()?, loaded, options };
    let plans = args.selection.plans(&prepared.loaded)?;
    let stop = stop_by_signal()?;
    let mut reporter = reporter(args.json);
    let Executed { record, .. } =
        execute(&prepared, &plans, &global.command, &mut Outside { emit: &mut |event| reporter.on_event(&event), stop: &stop })?;
    if !args.json {
        tell(&record, &mut io::stdout().lock())?;
    }
    Ok(match record.outcome {
        Some(RunOutcome::Interrupted) => ExitCode::Interrupted,
        Some(RunOutcome::Failed) => ExitCode::StageFailed,
        _ if !record.warnings.is_empty() => ExitCode::Storage,
        _ => ExitCode::Success,
    })
}

fn tell(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let came: Vec<FromRemote> = record.stages.iter().filter_map(|stage| stage.from_remote).collect();
    let here = record.stages.iter().filter(|stage| stage.state == StageState::Reused).count() - came.len();
    let bytes = came.iter().map(|came| came.bytes).sum();
    writeln!(out, "took {} of {} results, {}; {here} were here already", came.len(), record.stages.len(), report::bytes(bytes))?;
    let missing: Vec<String> =
        record.stages.iter().filter(|stage| stage.state != StageState::Reused).map(|stage| stage.stage.to_string()).collect();
    if missing.is_empty() { Ok(()) } else { writeln!(out, "not there: {}", report::list(&missing)) }
}
