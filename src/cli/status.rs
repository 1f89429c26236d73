//! `packtrain status`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;

use crate::cache::{ActionRecord, Cache};
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::{ExitCode, Global};
use crate::key::{ActionKey, StagePath};
use crate::manifest::Pipeline;
use crate::plan::{Forecast, Outlook, forecast};
use crate::report::{self, Table};

/// Show which results are up to date, and when they were made
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: &StatusArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    let cache = loaded.cache()?;
    let forecasts = forecast(&loaded.plans(), &cache)?;
    cache.memo().save()?;
    let heads: BTreeMap<StagePath, ActionKey> = loaded.family.variants.iter().flat_map(|pipeline| heads(pipeline, &cache)).collect();
    let mut table = Table::with_header(["stage", "kind", "state", "last run", "took", "size", "checked"]);
    for forecast in &forecasts {
        let record = last_record(forecast, &heads, &cache)?;
        let [finished, took, size, checked] = record.as_ref().map(made).unwrap_or_default();
        table.push([
            forecast.stage.to_string(),
            forecast.kind.to_owned(),
            state(&forecast.outlook).to_owned(),
            finished,
            took,
            size,
            checked,
        ]);
    }
    write!(io::stdout().lock(), "{}", table.without_empty_columns())?;
    Ok(ExitCode::Success)
}

/// When a result was made, how long it took, how large it is, and how the last rerun compared with it.
fn made(record: &ActionRecord) -> [String; 4] {
    let size = record.outputs.values().map(|file| file.size).sum();
    let checked = record.checks.last().map(|check| check.verdict.as_str().to_owned()).unwrap_or_default();
    [record.provenance.finished.clone(), report::seconds(record.provenance.seconds), report::bytes(size), checked]
}

/// The key that each stage last had.
fn heads(pipeline: &Pipeline, cache: &Cache) -> impl Iterator<Item = (StagePath, ActionKey)> {
    cache.heads(&pipeline.place()).into_iter().map(|(stage, key)| (pipeline.stage_path(&stage), key))
}

fn last_record(forecast: &Forecast, heads: &BTreeMap<StagePath, ActionKey>, cache: &Cache) -> Result<Option<ActionRecord>, CommandError> {
    let key = match &forecast.outlook {
        Outlook::Reuse { key, .. } => Some(*key),
        Outlook::Run { .. } | Outlook::Unknown { .. } | Outlook::LeftOut | Outlook::Shared { .. } => heads.get(&forecast.stage).copied(),
    };
    Ok(key.map(|key| cache.action(&key)).transpose()?.flatten())
}

fn state(outlook: &Outlook) -> &'static str {
    match outlook {
        Outlook::Reuse { .. } => "up to date",
        Outlook::Run { .. } | Outlook::LeftOut => "to be run",
        Outlook::Shared { .. } => "shared with an earlier variant",
        Outlook::Unknown { .. } => "depends on earlier stages",
    }
}
