//! Runs and variants side by side: metrics, the same epochs, curves over one another, and the parameters in which they differ.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use crate::artifact::{History, HistoryEpoch};
use crate::dossier::Finding;
use crate::report::html::chart::{self, Chart, Scale, Series};
use crate::report::html::subject::Subject;
use crate::report::html::{curves, provenance};
use crate::report::phrase;

/// More lines than this in one chart cannot be told apart.
const MOST_LINES: usize = 12;

/// The comparison of all subjects.
pub(super) fn section(subjects: &[Subject<'_>]) -> Markup {
    html! {
        section aria-labelledby="comparison" {
            h2 #comparison { "Comparison" }
            (metrics(subjects))
            (trainings(subjects))
            (differences(subjects))
        }
    }
}

fn metrics(subjects: &[Subject<'_>]) -> Markup {
    let values: Vec<BTreeMap<(String, &str), f64>> = subjects.iter().map(metrics_of).collect();
    let mut columns: Vec<(String, &str)> = Vec::new();
    for stage in subjects.iter().flat_map(|subject| &subject.chapter.stages) {
        for metric in &stage.record.metrics {
            let column = (stage.record.stage.stage.to_string(), metric.name.as_str());
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    html! {
        h3 { "Metrics" }
        @if columns.is_empty() { p { "No stage reported a metric." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Metrics" { table.sortable {
                thead { tr { th scope="col" { "run or variant" } @for (stage, name) in &columns { th.number scope="col" { (name) " " small { (stage) } } } } }
                tbody { @for (subject, values) in subjects.iter().zip(&values) { tr {
                    th scope="row" { a href={ "#" (subject.id) } { (subject.name) } }
                    @for column in &columns { @match values.get(column) {
                        Some(value) => td.number data-value=(value) { (phrase::metric(column.1, *value)) },
                        None => td.number data-value="-1" { "–" },
                    } }
                } } }
            } }
        }
    }
}

fn metrics_of<'a>(subject: &Subject<'a>) -> BTreeMap<(String, &'a str), f64> {
    let stages = subject.chapter.stages.iter();
    let of_stage = stages.flat_map(|stage| stage.record.metrics.iter().map(move |metric| (stage, metric)));
    of_stage.map(|(stage, metric)| ((stage.record.stage.stage.to_string(), metric.name.as_str()), metric.value)).collect()
}

/// The histories of all subjects, stage by stage.
fn trainings(subjects: &[Subject<'_>]) -> Markup {
    let mut by_stage: BTreeMap<String, Vec<(usize, &str, &History)>> = BTreeMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        for (stage, finding) in subject.findings() {
            if let Finding::History(history) = finding {
                by_stage.entry(stage.record.stage.stage.to_string()).or_default().push((index, &subject.name, history));
            }
        }
    }
    html! {
        @for (stage, histories) in by_stage.iter().filter(|(_, histories)| histories.len() > 1) {
            h3 { "Training" span.of { " · " (stage) } }
            (at_equal_epochs(histories))
            @if histories.len() > MOST_LINES { p.small { "The curves are those of the first " (MOST_LINES) "." } }
            (overlaid(stage, &histories[..histories.len().min(MOST_LINES)]))
        }
    }
}

/// Every training at the last epoch that all have.
fn at_equal_epochs(histories: &[(usize, &str, &History)]) -> Markup {
    let epoch = histories.iter().map(|(_, _, history)| history.epochs.len()).min().unwrap_or(0);
    let optional = |value: Option<f64>, shown: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), shown);
    let number = |value: f64| format!("{value:.4}");
    html! {
        @if epoch > 0 { div.scroll tabindex="0" role="group" aria-label="At equal epochs" { table.sortable {
            caption { "At epoch " (epoch) ", the last that all of them have" }
            thead { tr {
                th scope="col" { "run or variant" }
                @for name in ["training loss", "training accuracy", "validation loss", "validation accuracy", "of epochs"] { th.number scope="col" { (name) } }
            } }
            tbody { @for (_, name, history) in histories { @if let Some(at) = history.epochs.get(epoch - 1) { tr {
                th scope="row" { (name) }
                td.number { (number(at.train_loss)) }
                td.number data-value=(at.train_accuracy) { (curves::exact_percent(at.train_accuracy)) }
                td.number { (optional(at.val_loss, number)) }
                td.number data-value=(at.val_accuracy.unwrap_or(-1.0)) { (optional(at.val_accuracy, curves::exact_percent)) }
                td.number { (history.epochs.len()) }
            } } } }
        } } }
    }
}

fn overlaid(stage: &str, histories: &[(usize, &str, &History)]) -> Markup {
    let figure = |what: &str, title: &'static str, value: fn(&HistoryEpoch) -> Option<f64>, scale, label| {
        let series: Vec<Series> = histories.iter().map(|(index, name, history)| curves::series(name, *index, history, value)).collect();
        Chart { id: format!("comparison-{stage}-{what}"), title, series, scale, label }.figure()
    };
    html! {
        div.charts {
            (figure("val-accuracy", "Validation accuracy", |epoch| epoch.val_accuracy, Scale::Fraction, curves::percent))
            (figure("val-loss", "Validation loss", |epoch| epoch.val_loss, chart::LOSSES, curves::loss))
            (figure("train-loss", "Training loss", |epoch| Some(epoch.train_loss), chart::LOSSES, curves::loss))
            (figure("rate", "Learning rate", |epoch| Some(epoch.learning_rate), chart::RATES, curves::rate))
        }
    }
}

/// What is not the same in all subjects.
fn differences(subjects: &[Subject<'_>]) -> Markup {
    let facts: Vec<BTreeMap<String, String>> = subjects.iter().map(facts).collect();
    let mut names: Vec<&String> = facts.iter().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    names.retain(|name| facts.iter().any(|other| other.get(*name) != facts[0].get(*name)));
    html! {
        h3 { "Parameters that differ" }
        @if names.is_empty() { p { "None: all of them ran with the same parameters." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Parameters that differ" { table {
                thead { tr { th scope="col" { "parameter" } @for subject in subjects { th scope="col" { (subject.name) } } } }
                tbody { @for name in names { tr {
                    th scope="row" { (name) }
                    @for facts in &facts { td { @match facts.get(name) { Some(value) => code { (value) }, None => "–" } } }
                } } }
            } }
        }
    }
}

/// The parameters of the manifest and of every stage, as dotted names.
fn facts(subject: &Subject<'_>) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let run = &subject.dossier.record.provenance;
    let own = subject.chapter.variant.iter().flat_map(|variant| &variant.params);
    facts.extend(run.params.iter().chain(own).map(|(name, value)| (format!("${{{name}}}"), provenance::plain(value))));
    for stage in &subject.chapter.stages {
        if let Some(result) = &stage.result {
            let name = stage.record.stage.stage.to_string();
            add_leaves(&result.parameters, &name, &mut facts);
            facts.extend(result.seed.map(|seed| (format!("{name}.seed"), seed.to_string())));
        }
    }
    facts
}

fn add_leaves(value: &Value, path: &str, facts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| add_leaves(value, &format!("{path}.{key}"), facts)),
        Value::Null => {}
        leaf => drop(facts.insert(path.to_owned(), provenance::plain(leaf))),
    }
}
