//! Runs and variants side by side: metrics, the same epochs, curves over one another, and the parameters in which they differ. What is
//! compared, `compare` decides, for a page as for `packtrain metrics`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::artifact::{History, HistoryEpoch};
use crate::compare::{AtEpoch, Cell, Column, Comparison, MetricName, Trainings};
use crate::key::StageId;
use crate::report::html::chart::{self, Chart, Scale, Series};
use crate::report::html::curves;
use crate::report::html::subject::Subject;
use crate::report::phrase;

/// More lines than this in one chart cannot be told apart.
const MOST_LINES: usize = 12;

/// The comparison of all subjects.
pub(super) fn section(subjects: &[Subject<'_>]) -> Markup {
    // Without filters there is none that could be wrong.
    let comparison = Comparison::new(subjects.iter().map(|subject| subject.chapter.row.clone()).collect(), &[]);
    html! {
        section #part-comparison aria-labelledby="comparison" {
            h2 #comparison { "Comparison" }
            @if let Ok(comparison) = &comparison { (metrics(subjects, comparison)) }
            (trainings(subjects))
            @if let Ok(comparison) = &comparison { (differences(subjects, comparison)) }
        }
    }
}

fn metrics(subjects: &[Subject<'_>], comparison: &Comparison) -> Markup {
    let names: Vec<(&Column, &MetricName)> = comparison.columns.iter().filter_map(|column| Some((column, metric(column)?))).collect();
    html! {
        h3 { "Metrics" }
        @if names.is_empty() { p { "No stage reported a metric." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Metrics" { table.sortable {
                thead { tr {
                    th scope="col" { "run or variant" }
                    @for (_, MetricName { stage, metric }) in &names { th.number scope="col" { (metric) " " small { (stage) } } }
                } }
                tbody { @for (subject, row) in subjects.iter().zip(&comparison.rows) { tr {
                    th scope="row" { a href={ "#" (subject.id) } { (subject.name) } }
                    @for (column, _) in &names { @match row.cell(column) {
                        Some(Cell::Metric(name, value)) => td.number data-value=(value) { (phrase::metric(name, value)) },
                        _ => td.number data-value="-1" { "–" },
                    } }
                } } }
            } }
        }
    }
}

fn metric(column: &Column) -> Option<&MetricName> {
    if let Column::Metric(name) = column { Some(name) } else { None }
}

/// A history with the subject that it is of: its place among them, and its name.
type Named<'a> = (usize, &'a str, Cow<'a, History>);

/// The histories of all subjects, stage by stage.
fn trainings(subjects: &[Subject<'_>]) -> Markup {
    let mut by_stage: BTreeMap<StageId, Vec<Named<'_>>> = BTreeMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        for (stage, history) in subject.histories() {
            by_stage.entry(stage.record.stage.stage.clone()).or_default().push((index, &subject.name, history));
        }
    }
    html! {
        @for (stage, histories) in by_stage.iter().filter(|(_, histories)| histories.len() > 1) {
            h3 { "Training" span.of { " · " (stage) } }
            (at_equal_epochs(stage, histories))
            @if histories.len() > MOST_LINES { p.small { "The curves are those of the first " (MOST_LINES) "." } }
            (overlaid(stage, &histories[..histories.len().min(MOST_LINES)]))
        }
    }
}

/// Every training at the last epoch that all have.
fn at_equal_epochs(stage: &StageId, histories: &[Named<'_>]) -> Markup {
    let all: Vec<Trainings> = histories.iter().map(|(_, _, history)| Trainings(vec![(stage.clone(), history.epochs.clone())])).collect();
    let at = AtEpoch::Equal.number(&all);
    let optional = |value: Option<f64>, shown: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), shown);
    let number = |value: f64| format!("{value:.4}");
    html! {
        @if let Some(epoch) = at { div.scroll tabindex="0" role="group" aria-label="At equal epochs" { table.sortable {
            caption { "At epoch " (epoch) ", the last that all of them have" }
            thead { tr {
                th scope="col" { "run or variant" }
                @for name in ["training loss", "training accuracy", "validation loss", "validation accuracy", "of epochs"] { th.number scope="col" { (name) } }
            } }
            tbody { @for (_, name, history) in histories { @if let Some(at) = history.epochs.iter().find(|at| at.epoch == epoch) { tr {
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

fn overlaid(stage: &StageId, histories: &[Named<'_>]) -> Markup {
    let figure = |what: &str, title: &'static str, value: fn(&HistoryEpoch) -> Option<f64>, scale, label| {
        let series: Vec<Series> = histories.iter().map(|(index, name, history)| curves::series(name, *index, history, value)).collect();
        Chart { id: format!("comparison-{stage}-{what}"), title, series, scale, label }.figure()
    };
    html! {
        div.charts {
            (figure("val-accuracy", "Validation accuracy", |epoch| epoch.val_accuracy, Scale::Fraction, curves::percent))
            (figure("val-loss", "Validation loss", |epoch| epoch.val_loss, chart::LOSSES, curves::loss))
            (figure("train-loss", "Training loss", |epoch| Some(epoch.train_loss), chart::LOSSES, curves::loss))
            (figure("rate", "Learning rate", |epoch| Some(epoch.learning_rate), chart::RATES, phrase::learning_rate))
        }
    }
}

/// What is not the same in all subjects.
fn differences(subjects: &[Subject<'_>], comparison: &Comparison) -> Markup {
    let params: Vec<&Column> = comparison.columns.iter().filter(|column| matches!(column, Column::Param(_))).collect();
    html! {
        h3 { "Parameters that differ" }
        @if params.is_empty() { p { "None: all of them ran with the same parameters." } } @else {
            div.scroll tabindex="0" role="group" aria-label="Parameters that differ" { table {
                thead { tr { th scope="col" { "parameter" } @for subject in subjects { th scope="col" { (subject.name) } } } }
                tbody { @for param in params { tr {
                    th scope="row" { (param) }
                    @for row in &comparison.rows { td { @match row.cell(param) { Some(cell) => code { (cell.plain()) }, None => "–" } } }
                } } }
            } }
        }
    }
}
