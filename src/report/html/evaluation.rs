//! How well a model does: ranks, ten crops against the baseline, the confusion matrix, each class, and the mistakes.

use maud::{Markup, html};

use crate::artifact::{ClassReport, Evaluation, OversampleEvaluation};
use crate::dossier::{Finding, StageDossier};
use crate::report::html::curves::exact_percent;
use crate::report::html::graph::shortened;
use crate::report::html::pictures;
use crate::report::html::subject::Subject;

/// With more classes counts would not fit; the matrix is drawn without them.
const MOST_COUNTS: usize = 16;
/// With more classes the names of columns are written upwards.
const FEW: usize = 5;
/// Shades of the matrix above nothing.
const SHADES: f64 = 9.0;
/// Pairs of classes that are named beside the matrix.
const PAIRS: usize = 8;
/// Of a matrix without counts.
const SIDE: usize = 420;

/// Every evaluation of a subject.
pub(super) fn section(subject: &Subject<'_>) -> Markup {
    html! {
        @for stage in subject.chapter.stages.iter().filter(|stage| is_evaluation(stage)) {
            h3 { (stage.record.stage.stage) }
            @for finding in &stage.findings {
                @match finding {
                    Finding::Evaluation(evaluation) => { (ranks(evaluation)) (details(subject, stage, evaluation)) }
                    Finding::Oversample(both) => { (against_baseline(both)) (details(subject, stage, &both.crops)) }
                    Finding::Crops(image) => (pictures::crops(image)),
                    Finding::Mistakes(mistakes) => (pictures::mistakes(mistakes)),
                    Finding::Packed { .. } | Finding::Mean { .. } | Finding::Augmented(_) | Finding::History(_) => {}
                }
            }
        }
    }
}

fn is_evaluation(stage: &StageDossier) -> bool {
    let shows = |finding: &Finding| matches!(finding, Finding::Evaluation(_) | Finding::Oversample(_) | Finding::Mistakes(_));
    stage.findings.iter().any(shows)
}

fn ranks(evaluation: &Evaluation) -> Markup {
    html! {
        p {
            "Rank-1 " strong { (exact_percent(evaluation.rank1)) } ", rank-5 " (exact_percent(evaluation.rank5)) ", loss "
            (format!("{:.4}", evaluation.loss)) ", on " (evaluation.rows) " rows."
        }
    }
}

fn against_baseline(both: &OversampleEvaluation) -> Markup {
    let points = |value: f64| format!("{:+.2} points", value * 100.0);
    let row = |name: &str, before: f64, after: f64, is_fraction: bool| {
        let shown = |value: f64| if is_fraction { exact_percent(value) } else { format!("{value:.4}") };
        let change = if is_fraction { points(after - before) } else { format!("{:+.4}", after - before) };
        html! {
            tr {
                th scope="row" { (name) }
                td.number { (shown(before)) @if is_fraction { (bar(before, "l0")) } }
                td.number { strong { (shown(after)) } @if is_fraction { (bar(after, "l1")) } }
                td.number { (change) }
            }
        }
    };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Crops against whole images" {
            table.compact {
                caption { "The mean over " (both.count) " crops of an image against the image as a whole, on " (both.crops.rows) " images" }
                thead { tr { th scope="col" { "" span.hidden { "measure" } } th.number scope="col" { "baseline" } th.number scope="col" { (both.count) " crops" } th.number scope="col" { "change" } } }
                tbody {
                    (row("rank-1", both.baseline.rank1, both.crops.rank1, true))
                    (row("rank-5", both.baseline.rank5, both.crops.rank5, true))
                    (row("loss", both.baseline.loss, both.crops.loss, false))
                }
            }
        }
    }
}

/// A fraction as a bar.
pub(super) fn bar(fraction: f64, class: &str) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="6" rx="3" {}
            rect class=(class) width=(format!("{:.2}", fraction.clamp(0.0, 1.0) * 100.0)) height="6" rx="3" {}
        }
    }
}

fn details(subject: &Subject<'_>, stage: &StageDossier, evaluation: &Evaluation) -> Markup {
    let id = format!("{}-{}-confusion", subject.id, stage.record.stage.stage);
    html! {
        div.pair {
            div {
                h4 { "Confusion matrix" }
                @if evaluation.classes.len() <= MOST_COUNTS { (matrix(evaluation)) } @else { (large_matrix(evaluation, &id)) }
                (confused(evaluation))
            }
            div { h4 { "Classes" } (classes(&evaluation.classes)) }
        }
    }
}

fn matrix(evaluation: &Evaluation) -> Markup {
    let names = || evaluation.classes.iter().map(|class| class.name.as_str());
    html! {
        p.small { "Rows: the true class. Columns: what was predicted. A darker cell is a greater part of its row." }
        div.scroll tabindex="0" role="group" aria-label="Confusion matrix" {
            table.matrix.upright[evaluation.classes.len() > FEW] {
                thead { tr { td {} @for name in names() { th scope="col" { span title=(name) { (shortened(name, 14)) } } } } }
                tbody { @for (row, (name, counts)) in names().zip(&evaluation.confusion).enumerate() { tr {
                    th scope="row" title=(name) { (shortened(name, 18)) }
                    @for (column, count) in counts.iter().enumerate() {
                        td class={ "h" (shade(*count, counts)) @if row == column { " hit" } } { @if *count > 0 { (count) } @else { span.nothing { "0" } } }
                    }
                } } }
            }
        }
    }
}

/// Cells alone; those of a shade are one path.
fn large_matrix(evaluation: &Evaluation, id: &str) -> Markup {
    let classes = evaluation.classes.len();
    let mut paths = vec![String::new(); SHADES as usize + 1];
    for (row, counts) in evaluation.confusion.iter().enumerate() {
        for (column, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            paths[shade(*count, counts)].push_str(&format!("M{column} {row}h1v1h-1z"));
        }
    }
    html! {
        figure {
            svg.heat viewBox={ "0 0 " (classes) " " (classes) } width=(SIDE) height=(SIDE) role="img" aria-labelledby=(id) {
                title #(id) { "Confusion matrix of " (classes) " classes; rank-1 is " (exact_percent(evaluation.rank1)) }
                rect.paper width=(classes) height=(classes) {}
                @for (shade, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) { path class={ "f" (shade) } d=(path) {} }
            }
            figcaption { "Rows: the true class. Columns: what was predicted, both in the order of the classes." }
        }
    }
}

/// From 0 for nothing to 9 for the whole row.
fn shade(count: u64, row: &[u64]) -> usize {
    let total = row.iter().sum::<u64>().max(1);
    (count as f64 / total as f64 * SHADES).ceil() as usize
}

/// The pairs of classes that are most often taken for one another.
fn confused(evaluation: &Evaluation) -> Markup {
    let mut pairs: Vec<(u64, &str, &str)> = Vec::new();
    for (row, counts) in evaluation.confusion.iter().enumerate() {
        let wrong = counts.iter().enumerate().filter(|(column, count)| *column != row && **count > 0);
        pairs
            .extend(wrong.map(|(column, count)| (*count, evaluation.classes[row].name.as_str(), evaluation.classes[column].name.as_str())));
    }
    pairs.sort_by_key(|(count, _, _)| std::cmp::Reverse(*count));
    html! {
        @if evaluation.classes.len() > 2 && !pairs.is_empty() {
            p.small { "Most often confused: " @for (index, (count, truth, predicted)) in pairs.iter().take(PAIRS).enumerate() {
                @if index > 0 { ", " } span.nowrap { (shortened(truth, 24)) " → " (shortened(predicted, 24)) } " (" (count) ")"
            } "." }
        }
    }
}

fn classes(classes: &[ClassReport]) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Classes" {
            table.sortable {
                thead { tr {
                    th scope="col" { "class" }
                    @for name in ["precision", "recall", "F1", "images"] { th.number scope="col" { (name) } }
                } }
                tbody { @for class in classes { tr {
                    th scope="row" title=(class.name) { (shortened(&class.name, 28)) }
                    @for value in [class.precision, class.recall, class.f1] { td.number data-value=(value) { (exact_percent(value)) } }
                    td.number { (class.support) }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(rank1: f64, classes: usize) -> Evaluation {
        let class = |index: usize| ClassReport { name: format!("class {index}"), precision: 0.5, recall: 0.25, f1: 1.0 / 3.0, support: 4 };
        let row = |row: usize| (0..classes).map(|column| u64::from(row == column) + 3 * u64::from((row + 1) % classes == column)).collect();
        Evaluation {
            rows: 4 * classes as u64,
            rank1,
            rank5: 1.0,
            loss: 0.5,
            classes: (0..classes).map(class).collect(),
            confusion: (0..classes).map(row).collect(),
        }
    }

    #[test]
    fn crops_stand_beside_the_baseline_with_the_change() {
        let both = OversampleEvaluation { count: 10, gain: 0.05, baseline: evaluation(0.8, 2), crops: evaluation(0.85, 2) };
        let shown = against_baseline(&both).into_string();
        let position = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text}: {shown}"));
        assert!(position("80.00 %") < position("85.00 %") && position("85.00 %") < position("+5.00 points"));
        assert!(shown.contains("width=\"85.00\"") && shown.contains("over 10 crops"));
    }

    #[test]
    fn the_matrix_of_many_classes_is_drawn_and_the_pairs_are_named() {
        let many = evaluation(0.25, 30);
        let drawn = large_matrix(&many, "m").into_string();
        // A quarter of every row is right: the third of nine shades. Three quarters lie beside the diagonal.
        assert!(drawn.contains("class=\"f3\" d=\"M0 0h1v1h-1zM1 1h1v1h-1z") && drawn.contains("class=\"f7\" d=\"M1 0h1v1h-1zM2 1"));
        assert!(confused(&many).into_string().contains("class 0 → class 1</span> (3)"));
    }
}
