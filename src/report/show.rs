//! Artifacts as people like to read them.

use crate::artifact::{
    ClassReport, Evaluation, History, HistoryEpoch, InputSpec, Mean, ModelHeader, ModelOutline, OversampleEvaluation, PackRule, RowLabels,
};
use crate::report::glyphs::Glyphs;
use crate::report::{Table, phrase};

/// A confusion matrix of more classes is told by its largest confusions.
const MATRIX_CLASSES: usize = 12;
/// How many confusions are told.
const CONFUSIONS: usize = 10;
/// Of the course of a training.
const COURSE_WIDTH: usize = 60;

/// Rank-1, rank-5 and loss; the table of classes; the confusion matrix, or of many classes the pairs that are confused most.
pub fn show_evaluation(evaluation: &Evaluation) -> String {
    let mut numbers = Table::with_header(["", "value"]);
    for (name, value) in numbers_of(evaluation) {
        numbers.push([name.to_owned(), phrase::metric(name, value)]);
    }
    format!("{} rows\n\n{numbers}\n{}", evaluation.rows, classes(evaluation))
}

/// As [`show_evaluation`], whole images beside crops; the classes are those of the crops.
pub fn show_oversample(evaluation: &OversampleEvaluation) -> String {
    let OversampleEvaluation { count, baseline, crops, gain } = evaluation;
    let mut numbers = Table::with_header(["", "whole images", &format!("{count} crops"), "gain"]);
    for ((name, whole), (_, averaged)) in numbers_of(baseline).into_iter().zip(numbers_of(crops)) {
        let gain = match name {
            "rank-1" => phrase::metric("gain", *gain),
            "rank-5" => phrase::metric("gain", averaged - whole),
            _ => format!("{:+.4}", averaged - whole),
        };
        numbers.push([name.to_owned(), phrase::metric(name, whole), phrase::metric(name, averaged), gain]);
    }
    format!("{} rows\n\n{numbers}\n{count} crops:\n{}", crops.rows, classes(crops))
}

/// A row for each epoch, the best one marked, and the course of losses and accuracies in a line each.
pub fn show_history(history: &History) -> String {
    let best = best_epoch(&history.epochs);
    let mut table = Table::with_header(["epoch", "rate", "loss", "accuracy", "val loss", "val accuracy", ""]);
    for epoch in &history.epochs {
        let HistoryEpoch { epoch: number, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy } = epoch;
        let percent = |value: Option<f64>| value.map(|value| phrase::metric("accuracy", value)).unwrap_or_default();
        let loss = |value: Option<f64>| value.map(|value| phrase::metric("loss", value)).unwrap_or_default();
        let mark = if best == Some(*number) { "best" } else { "" };
        table.push([
            number.to_string(),
            format!("{learning_rate:e}"),
            loss(Some(*train_loss)),
            percent(Some(*train_accuracy)),
            loss(*val_loss),
            percent(*val_accuracy),
            mark.to_owned(),
        ]);
    }
    format!("{}\n{}", table.without_empty_columns(), courses(&history.epochs).without_empty_columns())
}

/// The three means with their standard deviations.
pub fn show_mean(mean: &Mean) -> String {
    let mut table = Table::with_header(["channel", "mean", "std"]);
    for (channel, value, index) in [("red", mean.r, 0), ("green", mean.g, 1), ("blue", mean.b, 2)] {
        table.push([channel.to_owned(), format!("{value:.2}"), mean.std.map(|std| format!("{:.2}", std[index])).unwrap_or_default()]);
    }
    let of = mean.images.map(|images| format!("mean of {images} images\n")).unwrap_or_default();
    let image = mean.pixels.as_ref().map(|image| format!("and a mean image of {}×{} pixels\n", image.width, image.height));
    format!("{of}{}{}", table.without_empty_columns(), image.unwrap_or_default())
}

/// What the rows are, their shape, and how many there are of each class.
pub fn show_rows(what: &str, shape: &[usize], rows: &RowLabels) -> String {
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut table = Table::with_header(["class", "rows"]);
    for (name, count) in rows.class_counts() {
        table.push([name.to_owned(), count.to_string()]);
    }
    let noun = if rows.labels.len() == 1 { "row" } else { "rows" };
    format!("{} {noun} of {what}: [{}]\n{}", rows.labels.len(), shape.join(", "), if table.is_empty() { Table::default() } else { table })
}

/// The architecture, the classes, how images come in, and how many numbers the model has.
pub fn show_model(model: &ModelOutline) -> String {
    let parameters: usize = model.tensors.values().map(|shape| shape.iter().product::<usize>()).sum();
    let mut table = Table::default();
    let mut line = |what: &str, value: String| table.push([what.to_owned(), value]);
    if let Some(ModelHeader { architecture, class_names, input }) = &model.header {
        line("architecture", architecture.as_str().map_or_else(|| architecture.to_string(), str::to_owned));
        line("classes", format!("{}: {}", class_names.len(), class_names.join(", ")));
        if let Some(InputSpec { size, eval, scale, mean, packed }) = input {
            let scaled = if *scale == 1.0 { String::new() } else { format!(", times {scale}") };
            let mean = mean.as_ref().map(|mean| format!(", minus the mean R {:.2}, G {:.2}, B {:.2}", mean.r, mean.g, mean.b));
            line("input", format!("{size}×{size} pixels by {eval}{}{scaled}", mean.unwrap_or_default()));
            if let Some(PackRule { size, fit, decode }) = packed {
                let decoded = if decode.is_full() { "" } else { ", decoded at a smaller scale" };
                line("packed", format!("pictures at {size}×{size} pixels by {}{decoded}", fit.as_str()));
            }
        }
    }
    line("parameters", format!("{} in {} tensors", phrase::grouped(parameters as u64), model.tensors.len()));
    table.to_string()
}

fn numbers_of(evaluation: &Evaluation) -> [(&'static str, f64); 3] {
    [("rank-1", evaluation.rank1), ("rank-5", evaluation.rank5), ("loss", evaluation.loss)]
}

fn classes(evaluation: &Evaluation) -> String {
    let mut table = Table::with_header(["class", "precision", "recall", "F1", "rows"]);
    for ClassReport { name, precision, recall, f1, support } in &evaluation.classes {
        let percent = |value: &f64| phrase::metric("accuracy", *value);
        table.push([name.clone(), percent(precision), percent(recall), percent(f1), support.to_string()]);
    }
    let confusion = if evaluation.classes.len() <= MATRIX_CLASSES { matrix(evaluation) } else { confusions(evaluation) };
    format!("{table}\n{confusion}")
}

fn matrix(evaluation: &Evaluation) -> String {
    let names = || evaluation.classes.iter().map(|class| class.name.clone());
    let mut table = Table::with_header(std::iter::once("is \\ taken for".to_owned()).chain(names()));
    for (name, row) in names().zip(&evaluation.confusion) {
        table.push(std::iter::once(name).chain(row.iter().map(|count| if *count == 0 { ".".to_owned() } else { count.to_string() })));
    }
    table.to_string()
}

fn confusions(evaluation: &Evaluation) -> String {
    let name = |class: usize| evaluation.classes.get(class).map_or("", |class| class.name.as_str());
    let all = evaluation
        .confusion
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| row.iter().enumerate().map(move |(taken, count)| (truth, taken, *count)));
    let mut wrong: Vec<(usize, usize, u64)> = all.filter(|(truth, taken, count)| truth != taken && *count > 0).collect();
    wrong.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
    let mut table = Table::with_header(["is", "taken for", "rows"]);
    for (truth, taken, count) in wrong.iter().take(CONFUSIONS) {
        table.push([name(*truth).to_owned(), name(*taken).to_owned(), count.to_string()]);
    }
    match wrong.len().checked_sub(CONFUSIONS) {
        _ if table.is_empty() => "no row is taken for another class\n".to_owned(),
        Some(others) if others > 0 => format!("{table}and {others} other pairs\n"),
        _ => table.to_string(),
    }
}

/// The epoch with the lowest validation loss; without one, the lowest loss. Of equal ones the first.
fn best_epoch(epochs: &[HistoryEpoch]) -> Option<u32> {
    let loss = |epoch: &HistoryEpoch| epoch.val_loss.unwrap_or(epoch.train_loss);
    let judged = epochs.iter().filter(|epoch| !loss(epoch).is_nan());
    judged.min_by(|a, b| loss(a).total_cmp(&loss(b))).map(|epoch| epoch.epoch)
}

/// A number of an epoch, where it was measured.
type Measured = fn(&HistoryEpoch) -> Option<f64>;

fn courses(epochs: &[HistoryEpoch]) -> Table {
    let mut table = Table::with_header(["", "course", "first", "last"]);
    let series: [(&str, Measured); 4] = [
        ("loss", |epoch| Some(epoch.train_loss)),
        ("val loss", |epoch| epoch.val_loss),
        ("accuracy", |epoch| Some(epoch.train_accuracy)),
        ("val accuracy", |epoch| epoch.val_accuracy),
    ];
    for (name, of) in series {
        let values: Vec<f64> = epochs.iter().filter_map(of).collect();
        if let [first, .., last] = values[..] {
            table.push([
                name.to_owned(),
                Glyphs::UNICODE.sparkline(&values, COURSE_WIDTH),
                phrase::metric(name, first),
                phrase::metric(name, last),
            ]);
        }
    }
    if table.is_empty() { Table::default() } else { table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_marks_its_best_epoch_and_draws_its_course() {
        let epoch = |epoch, val_loss: Option<f64>| HistoryEpoch {
            epoch,
            learning_rate: 0.01,
            train_loss: 2.0 / f64::from(epoch),
            train_accuracy: 0.25 * f64::from(epoch),
            val_loss,
            val_accuracy: val_loss.map(|_| 0.5),
        };
        let history = History { epochs: vec![epoch(1, Some(1.5)), epoch(2, Some(0.75)), epoch(3, Some(1.0))] };
        let expected = "\
epoch  rate  loss    accuracy  val loss  val accuracy
1      1e-2  2.0000  25.00 %   1.5000    50.00 %
2      1e-2  1.0000  50.00 %   0.7500    50.00 %       best
3      1e-2  0.6667  75.00 %   1.0000    50.00 %

              course  first    last
loss          █▃▁     2.0000   0.6667
val loss      █▁▃     1.5000   1.0000
accuracy      ▁▅█     25.00 %  75.00 %
val accuracy  ▅▅▅     50.00 %  50.00 %
";
        assert_eq!(show_history(&history), expected);
        let without = History { epochs: vec![epoch(1, None)] };
        assert_eq!(show_history(&without), "epoch  rate  loss    accuracy\n1      1e-2  2.0000  25.00 %   best\n\n");
    }

    fn evaluation(classes: usize) -> Evaluation {
        let class = |index: usize| ClassReport { name: format!("class{index}"), precision: 0.5, recall: 0.25, f1: 1.0 / 3.0, support: 4 };
        let row = |truth: usize| (0..classes).map(|taken| ((truth * 5 + taken * 3) % 4) as u64).collect();
        Evaluation {
            rows: 8,
            rank1: 0.625,
            rank5: 1.0,
            loss: 0.98765,
            classes: (0..classes).map(class).collect(),
            confusion: (0..classes).map(row).collect(),
        }
    }

    #[test]
    fn an_evaluation_of_few_classes_shows_the_matrix_and_of_many_the_pairs() {
        let expected = "\
8 rows

        value
rank-1  62.50 %
rank-5  100.00 %
loss    0.9877

class   precision  recall   F1       rows
class0  50.00 %    25.00 %  33.33 %  4
class1  50.00 %    25.00 %  33.33 %  4

is \\ taken for  class0  class1
class0          .       3
class1          1       .
";
        assert_eq!(show_evaluation(&evaluation(2)), expected);
        let many = show_evaluation(&evaluation(13));
        assert!(many.contains("\nis      taken for  rows\nclass0  class1     3\n"), "{many}");
        assert!(many.ends_with(" other pairs\n"), "{many}");
    }

    #[test]
    fn crops_stand_beside_whole_images() {
        let (baseline, crops) = (evaluation(2), Evaluation { rank1: 0.75, loss: 0.5, ..evaluation(2) });
        let shown = show_oversample(&OversampleEvaluation { count: 10, gain: 0.125, baseline, crops });
        let expected = "\
8 rows

        whole images  10 crops  gain
rank-1  62.50 %       75.00 %   +12.50 %
rank-5  100.00 %      100.00 %  +0.00 %
loss    0.9877        0.5000    -0.4877

10 crops:
class ";
        assert!(shown.starts_with(expected), "{shown}");
    }
}
