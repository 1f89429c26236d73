//! The course of a training: loss, accuracy and learning rate over the epochs, drawn and as a table.

use maud::{Markup, html};

use crate::artifact::{History, HistoryEpoch};
use crate::dossier::StageDossier;
use crate::report::html::chart::{self, Chart, Scale, Series};
use crate::report::html::subject::Subject;
use crate::report::phrase;

/// Every training of a subject.
pub(super) fn section(subject: &Subject<'_>) -> Markup {
    html! { @for (stage, history) in subject.histories() { (training(subject, stage, &history)) } }
}

/// A value of every epoch as a line; what is no number is left out.
pub(super) fn series(name: &str, style: usize, history: &History, value: fn(&HistoryEpoch) -> Option<f64>) -> Series {
    let point = |epoch: &HistoryEpoch| value(epoch).filter(|value| value.is_finite()).map(|value| (epoch.epoch, value));
    Series { name: name.to_owned(), style, points: history.epochs.iter().filter_map(point).collect() }
}

/// A loss as charts and tables write it.
pub(super) fn loss(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 {
        format!("{value:.1e}")
    } else {
        format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

pub(super) fn percent(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

fn training(subject: &Subject<'_>, stage: &StageDossier, history: &History) -> Markup {
    let name = stage.record.stage.stage.to_string();
    let figure = |what: &str, title: &'static str, series: Vec<Series>, scale, label| {
        Chart { id: format!("{}-{name}-{what}", subject.id), title, series, scale, label }.figure()
    };
    let losses =
        vec![series("training", 0, history, |epoch| Some(epoch.train_loss)), series("validation", 1, history, |epoch| epoch.val_loss)];
    let accuracies = vec![
        series("training", 0, history, |epoch| Some(epoch.train_accuracy)),
        series("validation", 1, history, |epoch| epoch.val_accuracy),
    ];
    let rates = vec![series("learning rate", 2, history, |epoch| Some(epoch.learning_rate))];
    html! {
        h3 { (name) }
        (in_words(history))
        div.charts {
            (figure("loss", "Loss", losses, chart::LOSSES, loss))
            (figure("accuracy", "Accuracy", accuracies, Scale::Fraction, percent))
            (figure("rate", "Learning rate", rates, chart::RATES, phrase::learning_rate))
        }
        details { summary { "The numbers of every epoch" } (table(history)) }
    }
}

/// The last epoch and the best one.
fn in_words(history: &History) -> Markup {
    let Some(last) = history.epochs.last() else { return html! { p { "No epoch." } } };
    let validated = history.epochs.iter().filter_map(|epoch| epoch.val_accuracy.map(|accuracy| (epoch.epoch, accuracy)));
    let best = validated.reduce(|best, other| if other.1 > best.1 { other } else { best });
    html! {
        p {
            (last.epoch) @if last.epoch == 1 { " epoch. " } @else { " epochs. " }
            "In the last: training loss " (format!("{:.4}", last.train_loss)) ", training accuracy " (exact_percent(last.train_accuracy))
            @if let (Some(loss), Some(accuracy)) = (last.val_loss, last.val_accuracy) {
                ", validation loss " (format!("{loss:.4}")) ", validation accuracy " (exact_percent(accuracy))
            }
            "."
            @if let Some((epoch, accuracy)) = best { " Best validation accuracy: " strong { (exact_percent(accuracy)) } " in epoch " (epoch) "." }
        }
    }
}

fn table(history: &History) -> Markup {
    let optional = |value: Option<f64>, shown: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), shown);
    let number = |value: f64| format!("{value:.4}");
    html! {
        div.scroll tabindex="0" role="group" aria-label="Every epoch" {
            table.sortable {
                thead { tr {
                    @for name in ["epoch", "learning rate", "training loss", "training accuracy", "validation loss", "validation accuracy"] {
                        th.number scope="col" { (name) }
                    }
                } }
                tbody { @for epoch in &history.epochs { tr {
                    td.number { (epoch.epoch) }
                    td.number data-value=(epoch.learning_rate) { (phrase::learning_rate(epoch.learning_rate)) }
                    td.number { (number(epoch.train_loss)) }
                    td.number data-value=(epoch.train_accuracy) { (exact_percent(epoch.train_accuracy)) }
                    td.number { (optional(epoch.val_loss, number)) }
                    td.number data-value=(epoch.val_accuracy.unwrap_or(-1.0)) { (optional(epoch.val_accuracy, exact_percent)) }
                } } }
            }
        }
    }
}

pub(super) fn exact_percent(value: f64) -> String {
    format!("{:.2} %", value * 100.0)
}
