//! `Evaluation` and `Predictions`: how well a model does, as JSON, and what it says of every row, as CSV.
//!
//! Classes are ranked by probability; of equal ones the first counts as higher, so that a model that says the same of every
//! class is right about the first alone. A probability that is no number ranks below all others.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactError, RowLabels, figure, json, write_csv};

/// The metrics of a model on labelled rows; all are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// Rows evaluated.
    pub rows: u64,
    /// The fraction of rows whose class has the highest probability.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rank1: f64,
    /// The fraction of rows whose class is among the five highest; with fewer classes, among all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rank5: f64,
    /// Mean negative log-likelihood of the true class; a probability counts as at least 2^-23, as in scikit-learn.
    #[schemars(range(min = 0.0))]
    pub loss: f64,
    /// The model's classes in its order, then those that only the data has.
    pub classes: Vec<ClassReport>,
    /// `[true class][predicted class]`: counts.
    pub confusion: Vec<Vec<u64>>,
}

/// How well a model does on one class; a ratio without a denominator is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassReport {
    pub name: String,
    /// Of the rows that were taken for this class, the fraction that is of it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub precision: f64,
    /// Of the rows of this class, the fraction that was found.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub recall: f64,
    /// The harmonic mean of both.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

/// An evaluation on whole images beside one on several crops of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OversampleEvaluation {
    /// Crops per image.
    #[schemars(range(min = 1), extend("examples" = [10]))]
    pub count: u32,
    /// On whole images.
    pub baseline: Evaluation,
    /// On the mean over the crops of each image.
    pub crops: Evaluation,
    /// Rank-1 of the crops minus rank-1 of the baseline.
    #[schemars(range(min = -1.0, max = 1.0))]
    pub gain: f64,
}

/// Class probabilities of labelled rows.
#[derive(Debug, Clone, Copy)]
pub struct Predictions<'a> {
    /// `[N*C]`, row by row.
    pub probabilities: &'a [f32],
    pub rows: &'a RowLabels,
    /// Class names in the order of the columns of `probabilities`.
    pub class_names: &'a [String],
}

impl Evaluation {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Evaluation, ArtifactError> {
        json::read(path)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        json::write(path, self)
    }

    /// Draws the confusion matrix as SVG.
    pub fn write_confusion(&self, path: &Path) -> Result<(), ArtifactError> {
        figure::write(path, figure::confusion::size(self), "Confusion matrix", |area| figure::confusion::draw(self, area))
    }
}

impl OversampleEvaluation {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<OversampleEvaluation, ArtifactError> {
        json::read(path)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        json::write(path, self)
    }
}

impl Predictions<'_> {
    /// The metrics. Rows are matched to classes by name; a row of a class that the model lacks counts as wrong.
    pub fn evaluate(&self) -> Evaluation {
        let (names, truths) = self.true_classes();
        let mut confusion = vec![vec![0; names.len()]; names.len()];
        let (mut within1, mut within5, mut loss) = (0, 0, 0.0);
        for (row, &truth) in truths.iter().enumerate() {
            let probabilities = self.row(row);
            if let Some(predicted) = most_probable(probabilities) {
                confusion[truth][predicted] += 1;
            }
            let rank = rank(probabilities, truth);
            within1 += u64::from(rank.is_some_and(|rank| rank < 1));
            within5 += u64::from(rank.is_some_and(|rank| rank < 5));
            loss += negative_log(probabilities.get(truth).copied().unwrap_or(0.0));
        }
        let rows = truths.len() as u64;
        Evaluation {
            rows,
            rank1: ratio(within1, rows),
            rank5: ratio(within5, rows),
            loss: if rows == 0 { 0.0 } else { loss / rows as f64 },
            classes: class_reports(names, &confusion),
            confusion,
        }
    }

    /// Writes `path,label,predicted,probability,correct`, then a column `p(name)` per class with its probability.
    pub fn write_csv(&self, path: &Path) -> Result<(), ArtifactError> {
        let fixed = ["path", "label", "predicted", "probability", "correct"].map(str::to_owned);
        let header: Vec<String> = fixed.into_iter().chain(self.class_names.iter().map(|name| format!("p({name})"))).collect();
        let lines = std::iter::once(header).chain((0..self.rows.labels.len()).map(|row| self.line(row)));
        let file = File::create(path).map_err(|source| ArtifactError::io(path, source))?;
        write_csv(file, lines).map_err(|source| ArtifactError::io(path, source))
    }

    fn line(&self, row: usize) -> Vec<String> {
        let probabilities = self.row(row);
        let label = self.label(row);
        let (predicted, probability) = match most_probable(probabilities) {
            Some(class) => (self.class_names[class].as_str(), probabilities[class]),
            None => ("", f32::NAN),
        };
        let path = self.rows.paths.get(row).map_or("", String::as_str);
        let fixed = [path.to_owned(), label.to_string(), predicted.to_owned(), probability.to_string(), (label == predicted).to_string()];
        fixed.into_iter().chain(probabilities.iter().map(f32::to_string)).collect()
    }

    /// The names of all classes, and the true one of every row as an index into them.
    fn true_classes(&self) -> (Vec<String>, Vec<usize>) {
        let mut names = Vec::new();
        let mut indices = HashMap::new();
        for name in self.class_names.iter().chain(&self.rows.label_names) {
            index_of(name, &mut names, &mut indices);
        }
        let truths = (0..self.rows.labels.len()).map(|row| index_of(&self.label(row), &mut names, &mut indices)).collect();
        (names, truths)
    }

    /// The name of the true class of a row; the number itself where the data has no name for it.
    fn label(&self, row: usize) -> Cow<'_, str> {
        let label = self.rows.labels[row];
        let name = usize::try_from(label).ok().and_then(|index| self.rows.label_names.get(index));
        name.map_or_else(|| Cow::Owned(label.to_string()), |name| Cow::Borrowed(name.as_str()))
    }

    fn row(&self, row: usize) -> &[f32] {
        let classes = self.class_names.len();
        self.probabilities.get(row * classes..(row + 1) * classes).unwrap_or(&[])
    }
}

fn index_of(name: &str, names: &mut Vec<String>, indices: &mut HashMap<String, usize>) -> usize {
    *indices.entry(name.to_owned()).or_insert_with(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

/// The class with the highest probability.
fn most_probable(probabilities: &[f32]) -> Option<usize> {
    (0..probabilities.len()).reduce(|best, class| if is_higher(probabilities, class, best) { class } else { best })
}

/// The classes from the most to the least probable.
pub fn ranked_classes(probabilities: &[f32]) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..probabilities.len()).collect();
    let is_number = |class: &usize| !probabilities[*class].is_nan();
    let by_value = |a: &usize, b: &usize| probabilities[*b].partial_cmp(&probabilities[*a]);
    classes.sort_by(|a, b| by_value(a, b).unwrap_or_else(|| is_number(b).cmp(&is_number(a))));
    classes
}

/// How many classes are ranked higher; `None` if the model has no such class, or no number for it.
fn rank(probabilities: &[f32], class: usize) -> Option<usize> {
    let known = probabilities.get(class).is_some_and(|probability| !probability.is_nan());
    known.then(|| (0..probabilities.len()).filter(|&other| is_higher(probabilities, other, class)).count())
}

fn is_higher(probabilities: &[f32], class: usize, than: usize) -> bool {
    match probabilities[class].partial_cmp(&probabilities[than]) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => class < than,
        Some(Ordering::Less) => false,
        None => probabilities[than].is_nan() && !probabilities[class].is_nan(),
    }
}

fn negative_log(probability: f32) -> f64 {
    -f64::from(probability.max(f32::EPSILON)).ln()
}

fn class_reports(names: Vec<String>, confusion: &[Vec<u64>]) -> Vec<ClassReport> {
    let report = |(class, name): (usize, String)| {
        let hits = confusion[class][class];
        let support = confusion[class].iter().sum();
        let predicted = confusion.iter().map(|row| row[class]).sum();
        ClassReport {
            name,
            precision: ratio(hits, predicted),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, predicted + support),
            support,
        }
    };
    names.into_iter().enumerate().map(report).collect()
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[i64], names: &[&str]) -> RowLabels {
        RowLabels {
            labels: labels.to_vec(),
            label_names: strings(names),
            paths: (0..labels.len()).map(|row| format!("{row}.jpg")).collect(),
        }
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn evaluate(probabilities: &[f32], rows: &RowLabels, class_names: &[&str]) -> Evaluation {
        Predictions { probabilities, rows, class_names: &strings(class_names) }.evaluate()
    }

    /// With numpy 2 and scikit-learn 1.9:
    ///
    /// ```python
    /// rows, classes = 12, 7
    /// scores = np.array([[(7*i + 3*j*j + i*j) % 11 + 1 for j in range(classes)] for i in range(rows)], np.float32)
    /// p = scores / scores.sum(1, keepdims=True)
    /// y = np.array([(i*i + i//2) % 6 for i in range(rows)])
    /// order = np.argsort(-p, axis=1, kind="stable")
    /// print([(order[:, :k] == y[:, None]).any(1).mean() for k in (1, 5)])
    /// print(log_loss(y, p, labels=range(classes)))
    /// print(confusion_matrix(y, order[:, 0], labels=range(classes)).tolist())
    /// print(classification_report(y, order[:, 0], labels=range(classes), zero_division=0, output_dict=True))
    /// ```
    #[test]
    fn metrics_are_those_of_scikit_learn() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let mut probabilities = Vec::new();
        for i in 0..12 {
            let scores = (0..7).map(|j| ((7 * i + 3 * j * j + i * j) % 11 + 1) as f32);
            let sum: f32 = scores.clone().sum();
            probabilities.extend(scores.map(|score| score / sum));
        }
        let labels: Vec<i64> = (0..12).map(|i| (i * i + i / 2) % 6).collect();
        let evaluation = evaluate(&probabilities, &rows(&labels, &names), &names);

        assert_eq!((evaluation.rows, evaluation.rank1, evaluation.rank5), (12, 0.25, 0.5));
        assert!((evaluation.loss - 2.539602518081665).abs() < 1e-6, "{}", evaluation.loss);
        let confusion = [
            [1, 0, 0, 0, 0, 2, 0],
            [0, 1, 1, 0, 0, 0, 0],
            [0, 0, 0, 1, 0, 0, 0],
            [0, 1, 0, 1, 0, 1, 0],
            [1, 0, 1, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(evaluation.confusion, confusion);
        let report = [
            (0.5, 1.0 / 3.0, 0.4, 3),
            (1.0 / 3.0, 0.5, 0.4, 2),
            (0.0, 0.0, 0.0, 1),
            (0.5, 1.0 / 3.0, 0.4, 3),
            (0.0, 0.0, 0.0, 2),
            (0.0, 0.0, 0.0, 1),
            (0.0, 0.0, 0.0, 0),
        ];
        let found: Vec<_> = evaluation.classes.iter().map(|class| (class.precision, class.recall, class.f1, class.support)).collect();
        assert_eq!(found, report);
    }

    #[test]
    fn classes_are_ranked_as_in_the_metrics() {
        assert_eq!(ranked_classes(&[0.25, f32::NAN, 0.5, 0.25]), [2, 0, 3, 1]);
    }

    #[test]
    fn rows_are_matched_to_classes_by_name() {
        let evaluation = evaluate(&[0.9, 0.1, 0.2, 0.8], &rows(&[1, 0], &["cat", "dog"]), &["dog", "cat"]);
        assert_eq!(evaluation.rank1, 1.0);
        assert_eq!(evaluation.confusion, [[1, 0], [0, 1]]);
    }

    #[test]
    fn a_class_that_the_model_lacks_is_wrong_and_reported() {
        let evaluation = evaluate(&[0.9, 0.1, 0.2, 0.8], &rows(&[0, 2], &["cat", "dog", "emu"]), &["cat", "dog"]);
        assert_eq!((evaluation.rank1, evaluation.rank5), (0.5, 0.5));
        assert_eq!(evaluation.confusion, [[1, 0, 0], [0, 0, 0], [0, 1, 0]]);
        let emu = &evaluation.classes[2];
        assert_eq!((emu.name.as_str(), emu.recall, emu.support), ("emu", 0.0, 1));
    }

    #[test]
    fn a_model_that_says_the_same_of_every_class_is_right_about_the_first_alone() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let evaluation = evaluate(&[1.0 / 6.0; 36], &rows(&[0, 1, 2, 3, 4, 5], &names), &names);
        assert_eq!((evaluation.rank1, evaluation.rank5), (1.0 / 6.0, 5.0 / 6.0));
    }

    #[test]
    fn a_probability_that_is_no_number_is_never_right_and_leaves_the_loss_finite() {
        let evaluation = evaluate(&[f32::NAN, f32::NAN, 0.0, 1.0], &rows(&[0, 0], &["a", "b"]), &["a", "b"]);
        assert_eq!((evaluation.rank1, evaluation.rank5), (0.0, 0.5));
        assert!((evaluation.loss - 23.0 * std::f64::consts::LN_2).abs() < 1e-9);
    }

    #[test]
    fn labels_without_a_name_and_missing_rows_do_no_harm() {
        assert_eq!(evaluate(&[], &rows(&[], &[]), &[]).rank1, 0.0);
        let evaluation = evaluate(&[0.5, 0.5], &rows(&[-1, 9], &["a"]), &["a", "b"]);
        let names: Vec<_> = evaluation.classes.iter().map(|class| (class.name.as_str(), class.support)).collect();
        assert_eq!(names[2], ("-1", 1));
        assert_eq!(evaluation.rank5, 0.0);
    }

    #[test]
    fn predictions_are_written_as_csv_with_quotes_where_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let mut rows = rows(&[1, 0], &["cat", "big, \"bad\" dog"]);
        rows.paths[0] = "a,b.jpg".to_owned();
        let class_names = strings(&["big, \"bad\" dog", "cat"]);
        Predictions { probabilities: &[0.75, 0.25, 0.625, 0.375], rows: &rows, class_names: &class_names }.write_csv(&path).unwrap();
        let expected = r#"path,label,predicted,probability,correct,"p(big, ""bad"" dog)",p(cat)
"a,b.jpg","big, ""bad"" dog","big, ""bad"" dog",0.75,true,0.75,0.25
1.jpg,cat,"big, ""bad"" dog",0.625,false,0.625,0.375
"#;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[test]
    fn an_oversample_evaluation_survives_its_file_and_names_both_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evaluation.json");
        let baseline = evaluate(&[0.9, 0.1, 0.3, 0.7], &rows(&[0, 0], &["a", "b"]), &["a", "b"]);
        let crops = evaluate(&[0.9, 0.1, 0.6, 0.4], &rows(&[0, 0], &["a", "b"]), &["a", "b"]);
        let written = OversampleEvaluation { count: 10, gain: crops.rank1 - baseline.rank1, baseline, crops };
        written.write(&path).unwrap();
        assert_eq!(OversampleEvaluation::read(&path).unwrap(), written);

        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((&json["baseline"]["rank1"], &json["crops"]["rank1"], &json["gain"]), (&0.5.into(), &1.0.into(), &0.5.into()));
        assert!(OversampleEvaluation::read(&folder.path().join("missing.json")).is_err());
        std::fs::write(&path, "{}").unwrap();
        let error = Evaluation::read(&path).unwrap_err().to_string();
        assert!(error.contains("evaluation.json: missing field `rows`"), "{error}");
    }

    #[test]
    fn a_confusion_matrix_is_drawn_with_counts_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.svg");
        let rows = rows(&[0, 0, 0, 1], &["cat & dog", "a name that is longer than the room for it"]);
        let evaluation =
            evaluate(&[0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.0, 1.0], &rows, &["cat & dog", "a name that is longer than the room for it"]);
        evaluation.write_confusion(&path).unwrap();
        let svg = std::fs::read_to_string(&path).unwrap();
        let texts: Vec<_> = svg.lines().filter(|line| !line.starts_with('<')).collect();
        let names = ["cat &amp; dog", "a name that is lo…"];
        let expected = ["2", "1", "1", "predicted", "true", names[0], names[0], names[1], names[1]];
        assert_eq!(texts, expected);
        // Two of three, one of three and all of their rows, between white and the full shade.
        assert_eq!(["#55A1CC", "#AAD0E5", "#0072B2", "#FFFFFF"].map(|shade| svg.contains(shade)), [true; 4], "{svg}");
    }
}
