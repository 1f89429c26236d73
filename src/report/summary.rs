//! The tables at the end of a run.

use std::io::{self, Write};

use crate::record::{RunRecord, StageRecord, StageState};
use crate::report::{Table, phrase};

/// Writes what became of every stage, and every metric.
pub fn write_summary(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut stages = Table::with_header(["stage", "kind", "result", "time"]);
    for stage in &record.stages {
        stages.push([stage.stage.to_string(), stage.kind.clone(), state_words(stage), time(stage)]);
    }
    write!(out, "\n{stages}")?;
    let mut metrics = Table::with_header(["stage", "metric", "value"]);
    for stage in &record.stages {
        for metric in &stage.metrics {
            metrics.push([stage.stage.to_string(), metric.name.clone(), phrase::metric(&metric.name, metric.value)]);
        }
    }
    if metrics.is_empty() { Ok(()) } else { write!(out, "\n{metrics}") }
}

fn state_words(stage: &StageRecord) -> String {
    let state = match stage.state {
        StageState::Pending | StageState::NotRun => "not run",
        StageState::Running => "running",
        StageState::Reused => "reused",
        StageState::Finished => "ran",
        StageState::Unpublished => "ran, not cached",
        StageState::Failed => "failed",
    };
    match stage.output.skipped.len() {
        0 => state.to_owned(),
        1 => format!("{state}, 1 unreadable image left out"),
        skipped => format!("{state}, {skipped} unreadable images left out"),
    }
}

fn time(stage: &StageRecord) -> String {
    match stage.state {
        StageState::Finished | StageState::Unpublished => phrase::seconds(stage.seconds),
        _ => String::new(),
    }
}
