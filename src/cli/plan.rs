//! `packtrain plan`.

use std::io::{self, Write};

use clap::Args;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::lock::LockedArgs;
use crate::cli::project::{ManifestArgs, SelectionArgs};
use crate::cli::{ExitCode, Global};
use crate::plan::{Forecast, Outlook, Plan, forecast};
use crate::report::{self, Table, write_changes};

/// Say what a run would do with every stage, and why
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    locked: LockedArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PlanArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    let cache = loaded.cache()?;
    let plans = args.selection.plans(&loaded)?;
    args.locked.check(&args.manifest, &plans, &cache)?;
    print(&plans, &cache, args.json)
}

/// Prints the forecast of a run.
pub(super) fn print(plans: &[Plan<'_>], cache: &Cache, json: bool) -> Result<ExitCode, CommandError> {
    let forecasts = forecast(plans, cache)?;
    cache.memo().save()?;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &forecasts).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", table(&forecasts))?;
        if let Some(total) = total(&forecasts) {
            writeln!(out, "\n{total}")?;
        }
    }
    Ok(ExitCode::Success)
}

fn table(forecasts: &[Forecast]) -> Table {
    let mut table = Table::with_header(["stage", "kind", "will", "takes", "why"]);
    for Forecast { stage, kind, outlook, estimated_seconds } in forecasts {
        let (will, why) = match outlook {
            Outlook::Reuse { .. } => ("be reused", String::new()),
            Outlook::Run { changes, training, rows } => {
                let training = training.as_ref().map(|training| format!("; {training}"));
                let rows = report::rows_reused(*rows).map(|rows| format!("; {rows}"));
                ("run", [Some(write_changes(changes)), training, rows].into_iter().flatten().collect())
            }
            Outlook::LeftOut => ("be missing", "its result is not there, and it is not chosen".to_owned()),
            Outlook::Shared { with } => ("be shared", format!("it is the same as {with}")),
            Outlook::Unknown { until } => {
                let have = if until.len() == 1 { "has" } else { "have" };
                ("be decided", format!("unknown until {} {have} run", report::list(until)))
            }
        };
        let takes = match (outlook, estimated_seconds) {
            (Outlook::Unknown { .. }, Some(seconds)) => format!("0 or {}", report::seconds(*seconds)),
            (_, Some(seconds)) => format!("about {}", report::seconds(*seconds)),
            (Outlook::Run { .. }, None) => "not known".to_owned(),
            _ => String::new(),
        };
        table.push([stage.to_string(), (*kind).to_owned(), will.to_owned(), takes, why]);
    }
    table
}

/// How long all of it takes, if anything is known of it.
fn total(forecasts: &[Forecast]) -> Option<String> {
    let sum = |chosen: fn(&Outlook) -> bool| -> f64 {
        forecasts
            .iter()
            .filter(|forecast| chosen(&forecast.outlook))
            .filter_map(|forecast| forecast.estimated_seconds)
            .fold(0.0, |sum, seconds| sum + seconds)
    };
    let (sure, at_most) = (sum(|outlook| matches!(outlook, Outlook::Run { .. })), sum(|_| true));
    let open = forecasts.iter().any(|Forecast { outlook, estimated_seconds, .. }| {
        matches!(outlook, Outlook::Run { .. } | Outlook::Unknown { .. }) && estimated_seconds.is_none()
    });
    let besides = if open { ", besides the stages of which nothing is known" } else { "" };
    match (sure > 0.0, at_most > sure) {
        (false, false) => None,
        (true, false) => Some(format!("about {} of work{besides}", report::seconds(sure))),
        (_, true) => Some(format!("from {} to {} of work{besides}", report::seconds(sure), report::seconds(at_most))),
    }
}
