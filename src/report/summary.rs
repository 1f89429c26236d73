//! The tables at the end of a run.

use std::io::{self, Write};

use crate::compare::{self, Comparison};
use crate::event::Metric;
use crate::record::{RunRecord, StageRecord, StageState};
use crate::report::{self, Table, phrase};

/// Writes what became of every stage, and every metric; of several variants, side by side.
pub fn write_summary(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let mut stages = Table::with_header(["stage", "kind", "result", "time"]);
    for stage in &record.stages {
        stages.push([stage.stage.to_string(), stage.kind.clone(), state_words(stage), time(stage)]);
    }
    write!(out, "\n{stages}")?;
    let metrics = if record.provenance.variants.len() > 1 { comparison(record) } else { metrics(record) };
    if metrics.is_empty() { Ok(()) } else { write!(out, "\n{metrics}") }
}

/// A row for every metric.
fn metrics(record: &RunRecord) -> Table {
    let mut table = Table::with_header(["stage", "metric", "value"]);
    for (stage, metric) in every_metric(record) {
        table.push([stage.stage.to_string(), metric.name.clone(), phrase::metric(&metric.name, metric.value)]);
    }
    table
}

/// A row for every variant, a column for every metric of a stage; empty where no variant has any.
fn comparison(record: &RunRecord) -> Table {
    let comparison = Comparison::of_variants(compare::rows(record));
    if comparison.columns.len() < 2 { Table::default() } else { report::comparison(&comparison) }
}

fn every_metric(record: &RunRecord) -> impl Iterator<Item = (&StageRecord, &Metric)> {
    record.stages.iter().flat_map(|stage| stage.metrics.iter().map(move |metric| (stage, metric)))
}

fn state_words(stage: &StageRecord) -> String {
    let state = phrase::state(stage.state);
    let state = match stage.output.skipped.len() {
        0 => state.to_owned(),
        1 => format!("{state}, 1 unreadable image left out"),
        skipped => format!("{state}, {skipped} unreadable images left out"),
    };
    match phrase::rows_reused(stage.output.rows) {
        Some(rows) if stage.state != StageState::Reused => format!("{state}, {rows}"),
        _ => state,
    }
}

fn time(stage: &StageRecord) -> String {
    match stage.state {
        StageState::Finished | StageState::Unpublished => phrase::seconds(stage.seconds),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::event::{ListedStage, RunEvent};
    use crate::key::{StagePath, VariantName};
    use crate::record::{RunProvenance, VariantParams};

    #[test]
    fn metrics_of_variants_stand_side_by_side_and_a_missing_one_leaves_a_gap() -> Result<(), Box<dyn std::error::Error>> {
        let path = |variant: &VariantName, stage: &str| -> Result<StagePath, Box<dyn std::error::Error>> {
            Ok(StagePath { variant: Some(variant.clone()), stage: stage.parse()? })
        };
        let variants = ["1e-3", "1e-2"].map(|rate| VariantName::new([("lr", rate)]));
        let params = variants.iter().map(|variant| VariantParams { variant: variant.clone(), params: BTreeMap::new() });
        let mut record = RunRecord::new("run".to_owned(), RunProvenance { variants: params.collect(), ..RunProvenance::default() });
        let mut stages = Vec::new();
        for variant in &variants {
            for stage in ["train", "eval"] {
                stages.push(ListedStage { stage: path(variant, stage)?, kind: "evaluate".to_owned(), needs: Vec::new() });
            }
        }
        record.apply(&RunEvent::RunStarted { run: "run".to_owned(), pipeline: "rates".to_owned(), command: Vec::new(), stages });
        let metric = |name: &str, value| Metric { name: name.to_owned(), value };
        record.stages[0].metrics = vec![metric("epochs", 3.0)];
        record.stages[1].metrics = vec![metric("rank-1", 0.5), metric("rank-5", 0.975)];
        record.stages[3].metrics = vec![metric("rank-1", 0.25)];
        let expected = "\
variant  train epochs  eval rank-1  eval rank-5
lr=1e-3  3             50.00 %      97.50 %
lr=1e-2                25.00 %
";
        assert_eq!(comparison(&record).to_string(), expected);
        Ok(())
    }
}
