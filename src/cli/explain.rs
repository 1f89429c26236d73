//! `packtrain explain`.

use std::io::{self, Write};

use clap::Args;

use crate::cache::{ActionRecord, Cache, Check};
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::{ExitCode, Global, completions};
use crate::key::{ActionKey, Change, ListingDiff, StageId};
use crate::plan::{Forecast, Outlook, forecast};
use crate::report;

/// Explain why a stage would run or be reused, in full
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage
    #[arg(value_name = "STAGE", add = completions::stages())]
    stage: StageId,
    /// Print as JSON: an object, or a list of them for a manifest with a matrix
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExplainArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    loaded.check_stage(&args.stage)?;
    let cache = loaded.cache()?;
    let mut forecasts = forecast(&loaded.plans(), &cache)?;
    cache.memo().save()?;
    forecasts.retain(|forecast| forecast.stage.stage == args.stage);
    let mut out = io::stdout().lock();
    match &forecasts[..] {
        [single] if args.json && single.stage.variant.is_none() => {
            serde_json::to_writer_pretty(&mut out, single).map_err(io::Error::from)?
        }
        all if args.json => serde_json::to_writer_pretty(&mut out, all).map_err(io::Error::from)?,
        all => return all.iter().try_for_each(|forecast| explain(forecast, &cache, &mut out)).map(|()| ExitCode::Success),
    }
    writeln!(out)?;
    Ok(ExitCode::Success)
}

fn explain(forecast: &Forecast, cache: &Cache, out: &mut dyn Write) -> Result<(), CommandError> {
    let Forecast { stage, kind, outlook, estimated_seconds } = forecast;
    match outlook {
        Outlook::Reuse { key, .. } => {
            writeln!(out, "{stage} ({kind}) will be reused: nothing that its result depends on has changed.")?;
            if let Some(record) = cache.action(key)? {
                write_record(key, &record, out)?;
            }
        }
        Outlook::Run { changes, training, rows } => {
            writeln!(out, "{stage} ({kind}) will run, because")?;
            changes.iter().try_for_each(|change| write_change(change, out))?;
            if let Some(training) = training {
                writeln!(out, "  {training}")?;
            }
            if let Some(rows) = report::rows_reused(*rows) {
                writeln!(out, "  {rows} from earlier results")?;
            }
            if let Some(seconds) = estimated_seconds {
                writeln!(out, "  it takes about {}, going by what was run before", report::seconds(*seconds))?;
            }
        }
        Outlook::Unknown { until } => {
            writeln!(out, "{stage} ({kind}) takes its inputs from {}, which will run first.", report::list(until))?;
            writeln!(out, "If that gives the same bytes as before, {stage} will be reused.")?;
        }
        Outlook::LeftOut => writeln!(out, "{stage} ({kind}) is not chosen, and its result is not there.")?,
        Outlook::Shared { with } => writeln!(out, "{stage} ({kind}) is the same as {with}, which comes first, and shares its result.")?,
    }
    Ok(())
}

fn write_record(key: &ActionKey, record: &ActionRecord, out: &mut dyn Write) -> io::Result<()> {
    let made = &record.provenance;
    writeln!(out, "  key      {key}")?;
    writeln!(
        out,
        "  made by  packtrain {} in {:.1} s, {}, as {} of {}",
        made.tool, made.seconds, made.finished, made.stage, made.pipeline
    )?;
    if let Some(rows) = report::rows_reused(record.result.rows) {
        writeln!(out, "  rows     {rows} from earlier results")?;
    }
    for Check { verdict, tolerance, finished, tool, device } in &record.checks {
        let device = device.as_ref().map(|device| format!(" on {device}")).unwrap_or_default();
        writeln!(out, "  checked  {} by a rerun with packtrain {tool}{device}, {finished}, tolerance {tolerance}", verdict.as_str())?;
    }
    for (name, digest) in &record.fingerprint.inputs {
        writeln!(out, "  input    {name}  {digest}")?;
    }
    for (name, file) in &record.outputs {
        writeln!(out, "  output   {name}  {}  {} bytes", file.digest, file.size)?;
    }
    Ok(())
}

fn write_change(change: &Change, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  - {change}")?;
    if let Change::Images { diff, .. } | Change::Files { diff, .. } = change {
        let ListingDiff { added, removed, changed } = diff;
        for (sign, paths) in [('+', added), ('-', removed), ('~', changed)] {
            for path in paths {
                writeln!(out, "      {sign} {path}")?;
            }
        }
    }
    Ok(())
}
