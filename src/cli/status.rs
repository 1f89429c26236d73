//! `packtrain status`.

use std::io::{self, Write};

use clap::Args;

use crate::cache::{ActionRecord, Cache};
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::{ExitCode, Global};
use crate::plan::{Forecast, Outlook, Plan, forecast};
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
    let forecasts = forecast(&Plan::new(&loaded.pipeline), &cache)?;
    cache.memo().save()?;
    let mut table = Table::with_header(["stage", "kind", "state", "last run", "took", "size"]);
    for forecast in &forecasts {
        let record = last_record(forecast, &loaded.pipeline.name, &cache)?;
        let [finished, took, size] = record.as_ref().map(made).unwrap_or_default();
        table.push([forecast.stage.to_string(), forecast.kind.to_owned(), state(&forecast.outlook).to_owned(), finished, took, size]);
    }
    write!(io::stdout().lock(), "{table}")?;
    Ok(ExitCode::Success)
}

/// When a result was made, how long it took, and how large it is.
fn made(record: &ActionRecord) -> [String; 3] {
    let size = record.outputs.values().map(|file| file.size).sum();
    [record.provenance.finished.clone(), report::seconds(record.provenance.seconds), report::bytes(size)]
}

fn last_record(forecast: &Forecast, pipeline: &str, cache: &Cache) -> Result<Option<ActionRecord>, CommandError> {
    let key = match &forecast.outlook {
        Outlook::Reuse { key, .. } => Some(*key),
        Outlook::Run { .. } | Outlook::Unknown { .. } => cache.heads(pipeline).get(&forecast.stage).copied(),
    };
    Ok(key.map(|key| cache.action(&key)).transpose()?.flatten())
}

fn state(outlook: &Outlook) -> &'static str {
    match outlook {
        Outlook::Reuse { .. } => "up to date",
        Outlook::Run { .. } => "to be run",
        Outlook::Unknown { .. } => "depends on earlier stages",
    }
}
