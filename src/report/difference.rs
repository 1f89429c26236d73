//! The difference of two runs as text.

use std::io::{self, Write};

use serde_json::Value;

use crate::compare::{Differing, MetricDiff, Nature, RunDiff, RunSide, StageDiff, StageTimes};
use crate::key::StagePath;
use crate::report::{Table, history, phrase};

/// Writes the two runs, then a section for everything in which they differ.
pub fn write_diff(diff: &RunDiff, out: &mut dyn Write) -> io::Result<()> {
    let RunDiff { old, new, params, stages, only_old, only_new, same, metrics, times, environment } = diff;
    let mut sides = Table::default();
    for (side, RunSide { id, name, pipeline, started }) in [("old", old), ("new", new)] {
        sides.push([side.to_owned(), id.clone(), name.clone().unwrap_or_default(), pipeline.clone(), history::when(started)]);
    }
    write!(out, "{sides}")?;
    section("parameters", &values(params), out)?;
    section("stages", &changes(stages, only_old, only_new, *same), out)?;
    section("metrics", &numbers(metrics), out)?;
    section("times", &durations(times), out)?;
    section("environment", &values(environment), out)
}

fn section(title: &str, rows: &[[String; 3]], out: &mut dyn Write) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = Table::default();
    rows.iter().for_each(|[what, values, verdict]| table.push([format!("  {what}"), values.clone(), verdict.clone()]));
    write!(out, "\n{title}\n{table}")
}

fn values(all: &[Differing]) -> Vec<[String; 3]> {
    let row = |Differing { what, old, new }: &Differing| [what.clone(), format!("{} → {}", shown(old), shown(new)), String::new()];
    all.iter().map(row).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn changes(stages: &[StageDiff], only_old: &[StagePath], only_new: &[StagePath], same: usize) -> Vec<[String; 3]> {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut add = |stage: String, text: String| rows.push([stage, text, String::new()]);
    for StageDiff { stage, old_state, new_state, changes } in stages {
        let lines = match changes {
            Some(changes) if !changes.is_empty() => changes.iter().map(ToString::to_string).collect(),
            _ if old_state != new_state => vec![format!("{} → {}", phrase::state(*old_state), phrase::state(*new_state))],
            Some(_) => vec![phrase::state(*new_state).to_owned()],
            None => vec!["another result; the cache does not know any more what it was made of".to_owned()],
        };
        // Only the first line of a stage begins with its name.
        lines.into_iter().enumerate().for_each(|(index, line)| add(if index == 0 { stage.to_string() } else { String::new() }, line));
    }
    only_old.iter().for_each(|stage| add(stage.to_string(), "only in the old run".to_owned()));
    only_new.iter().for_each(|stage| add(stage.to_string(), "only in the new run".to_owned()));
    match (same, rows.is_empty()) {
        (0, _) => {}
        (_, true) => rows.push(["all".to_owned(), "the same results".to_owned(), String::new()]),
        (1, false) => rows.push(["1 other".to_owned(), "the same result".to_owned(), String::new()]),
        (others, false) => rows.push([format!("{others} others"), "the same results".to_owned(), String::new()]),
    }
    rows
}

fn numbers(metrics: &[MetricDiff]) -> Vec<[String; 3]> {
    let row = |MetricDiff { stage, metric, old, new, better }: &MetricDiff| {
        let value = |value: &Option<f64>| value.map_or("(none)".to_owned(), |value| phrase::metric(metric, value));
        let verdict = match (old, new) {
            (Some(old), Some(new)) if old == new => return [format!("{stage} {metric}"), value(&Some(*new)), "the same".to_owned()],
            (Some(old), Some(new)) => delta(metric, new - old, *better),
            _ => String::new(),
        };
        [format!("{stage} {metric}"), format!("{} → {}", value(old), value(new)), verdict]
    };
    metrics.iter().map(row).collect()
}

/// By how much a metric changed: fractions in percentage points.
fn delta(metric: &str, delta: f64, better: Option<bool>) -> String {
    let amount = match Nature::of(metric) {
        Nature::Fraction | Nature::Gain => format!("{:+.2} points", delta * 100.0),
        Nature::Loss => format!("{delta:+.4}"),
        // As many places as do not show how numbers are stored.
        Nature::Number => format!("{:+}", (delta * 1e9).round() / 1e9),
    };
    match better {
        Some(true) => format!("{amount}, better"),
        Some(false) => format!("{amount}, worse"),
        None => amount,
    }
}

fn durations(times: &[StageTimes]) -> Vec<[String; 3]> {
    let row = |StageTimes { stage, old, new }: &StageTimes| {
        [stage.to_string(), format!("{} → {}", phrase::seconds(*old), phrase::seconds(*new)), String::new()]
    };
    times.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_metric_is_told_in_its_own_unit_with_its_direction() {
        let told = [("eval rank-1", 0.0123), ("val-loss", 0.25), ("gain", -0.01), ("epochs", 5.0)]
            .map(|(name, change)| delta(name, change, Nature::of(name).is_better(change)));
        assert_eq!(told, ["+1.23 points, better", "+0.2500, worse", "-1.00 points, worse", "+5"]);
    }
}
