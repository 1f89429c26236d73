//! The list of runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::key::StageId;
use crate::record::{Label, RunRecord, Tally};
use crate::report::{Table, phrase};

/// No more metrics stand in a line.
const METRICS: usize = 2;

/// A row for every run, in the given order, each with whether it goes on.
pub fn history(records: &[(bool, RunRecord)]) -> Table {
    let mut table = Table::with_header(["run", "when", "pipeline", "name", "tags", "outcome", "stages", "time", "metrics"]);
    for (is_running, record) in records {
        let tags: Vec<&str> = record.tags.iter().map(Label::as_str).collect();
        table.push([
            record.id.clone(),
            when(&record.provenance.started),
            record.provenance.pipeline.clone(),
            record.name.as_ref().map(Label::to_string).unwrap_or_default(),
            tags.join(", "),
            standing(record, *is_running).to_owned(),
            stages(record.tally()),
            phrase::seconds(record.seconds),
            metrics(record),
        ]);
    }
    table.without_empty_columns()
}

/// A moment, RFC 3339, as the clock on the wall showed it, to the minute.
pub fn when(moment: &str) -> String {
    match moment.parse::<Timestamp>() {
        Ok(moment) => moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => moment.to_owned(),
    }
}

/// How a run ended, if it did.
pub(super) fn standing(record: &RunRecord, is_running: bool) -> &'static str {
    match record.outcome {
        Some(outcome) => outcome.as_str(),
        None if is_running => "running",
        None => "cut off",
    }
}

pub(super) fn stages(tally: Tally) -> String {
    let Tally { ran, reused, failed, not_run } = tally;
    let all = ran + reused + failed + not_run;
    if reused == all {
        return format!("{all} reused");
    }
    let rest = [(failed, "failed"), (not_run, "not run")].into_iter().filter(|(count, _)| *count > 0);
    let rest: String = rest.map(|(count, what)| format!(", {count} {what}")).collect();
    format!("{ran} of {all} ran{rest}")
}

/// The accuracies that the run is known by; of several variants, the best.
pub(super) fn metrics(record: &RunRecord) -> String {
    let mut order: Vec<(&StageId, &str)> = Vec::new();
    let mut best: BTreeMap<(&StageId, &str), f64> = BTreeMap::new();
    for stage in &record.stages {
        let main = stage.metrics.iter().filter(|metric| metric.name.ends_with("rank-1") || metric.name.ends_with("accuracy"));
        for metric in main {
            let column = (&stage.stage.stage, metric.name.as_str());
            if !order.contains(&column) {
                order.push(column);
            }
            let value = best.entry(column).or_insert(metric.value);
            *value = value.max(metric.value);
        }
    }
    let shown = order.iter().rev().take(METRICS).rev().filter_map(|column| Some((column, best.get(column)?)));
    let shown: Vec<String> = shown.map(|((stage, name), value)| format!("{stage} {name} {}", phrase::metric(name, *value))).collect();
    let of_variants = match record.provenance.variants.len() {
        count if count > 1 && !shown.is_empty() => format!(" (the best of {count} variants)"),
        _ => String::new(),
    };
    shown.join(", ") + &of_variants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_stages_is_said_in_few_words() {
        let tally = |ran, reused, failed, not_run| stages(Tally { ran, reused, failed, not_run });
        let told = [tally(0, 5, 0, 0), tally(2, 3, 0, 0), tally(0, 1, 1, 2), tally(0, 0, 0, 0)];
        assert_eq!(told, ["5 reused", "2 of 5 ran", "0 of 4 ran, 1 failed, 2 not run", "0 reused"]);
    }
}
