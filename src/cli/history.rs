//! `packtrain history`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions};
use crate::event::RunOutcome;
use crate::record::{Label, RunHead, RunRecord};
use crate::report;

/// List the runs of the project, the latest first
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Only the runs of this manifest, or of the pipeline of this name
    #[arg(value_name = "MANIFEST|PIPELINE", add = completions::manifests())]
    of: Option<String>,
    /// Only runs with this tag; may be given several times, for runs that have all of them
    #[arg(long)]
    tag: Vec<Label>,
    /// Only runs that ended so: succeeded, failed or interrupted
    #[arg(long, value_parser = outcome)]
    outcome: Option<RunOutcome>,
    /// How many runs to list at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HistoryArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scope = args.of.as_ref().map_or_else(|| Scope::here(global), |of| Scope::of(of, global))?;
    let heads: Vec<&RunHead> = scope.running().chain(scope.heads()).filter(|head| args.wants(head)).collect();
    let running: BTreeSet<&str> = scope.running().map(|head| head.id.as_str()).collect();
    let records = scope.records(heads.iter().take(args.limit).copied())?;
    let records: Vec<(bool, RunRecord)> = records.into_iter().map(|record| (running.contains(record.id.as_str()), record)).collect();
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", Value::from(records.iter().map(|(is_running, record)| told(*is_running, record)).collect::<Vec<_>>()))?;
    } else if records.is_empty() {
        writeln!(out, "no runs")?;
    } else {
        write!(out, "{}", report::history(&records))?;
        match heads.len().saturating_sub(args.limit) {
            0 => {}
            earlier => writeln!(out, "and {earlier} earlier; `--limit {}` lists all", heads.len())?,
        }
    }
    Ok(ExitCode::Success)
}

impl HistoryArgs {
    fn wants(&self, head: &RunHead) -> bool {
        self.tag.iter().all(|tag| head.tags.contains(tag)) && (self.outcome.is_none() || self.outcome == head.outcome)
    }
}

fn told(is_running: bool, record: &RunRecord) -> Value {
    let RunRecord { id, name, tags, provenance, outcome, seconds, stages, .. } = record;
    let metrics = stages.iter().flat_map(|stage| {
        stage.metrics.iter().map(|metric| {
            let mut told = json!(stage.stage);
            told["metric"] = json!(metric.name);
            told["value"] = json!(metric.value);
            told
        })
    });
    json!({
        "id": id,
        "name": name,
        "tags": tags,
        "pipeline": provenance.pipeline,
        "manifest": provenance.manifest,
        "started": provenance.started,
        "outcome": outcome,
        "running": is_running,
        "seconds": seconds,
        "stages": record.tally(),
        "metrics": metrics.collect::<Vec<_>>(),
    })
}

fn outcome(text: &str) -> Result<RunOutcome, String> {
    let known = [RunOutcome::Succeeded, RunOutcome::Failed, RunOutcome::Interrupted];
    known.into_iter().find(|outcome| outcome.as_str() == text).ok_or_else(|| "a run is succeeded, failed or interrupted".to_owned())
}
