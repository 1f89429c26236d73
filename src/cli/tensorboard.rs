//! `packtrain tensorboard`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions};
use crate::record::{RunRecord, RunReference};
use crate::report::{self, Table};
use crate::tensorboard;

/// Write runs as event files that TensorBoard shows
///
/// Loss, accuracy and learning rate of every epoch, and the metrics of other stages.
#[derive(Debug, Args)]
pub(super) struct TensorboardArgs {
    /// The runs: an id or the beginning of one, a name, `last`, `last~1`
    #[arg(value_name = "RUN", default_value = "last", add = completions::runs())]
    runs: Vec<RunReference>,
    /// The folder to write into; what was written there of the same runs is replaced
    #[arg(short, long, value_name = "FOLDER", default_value = "tensorboard")]
    output: PathBuf,
}

pub(super) fn run(args: &TensorboardArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scope = Scope::here(global)?;
    let runs: Vec<RunRecord> = args.runs.iter().map(|reference| scope.find(reference)).collect::<Result<_, _>>()?;
    let is_of_them = |pipeline: &str| runs.iter().any(|run| run.provenance.pipeline == pipeline);
    let others = scope.records(scope.heads().filter(|head| is_of_them(&head.pipeline)))?;
    let written = tensorboard::write(&runs, &others, &scope.cache, &args.output)?;
    let mut table = Table::with_header(["run", "epochs", "metrics"]);
    for written in &written {
        table.push([written.folder.display().to_string(), written.epochs.to_string(), written.metrics.to_string()]);
    }
    let mut out = io::stdout().lock();
    match &written[..] {
        [] => writeln!(out, "no stage of {} has numbers", report::list(&runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>()))?,
        _ => write!(out, "{table}\n`tensorboard --logdir {}` shows them\n", args.output.display())?,
    }
    Ok(ExitCode::Success)
}
