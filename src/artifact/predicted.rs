//! `Predictions` read back: what a model said of every row.

use std::path::Path;
use std::str::FromStr;

use crate::artifact::ArtifactError;

/// A row of `predictions.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictedRow {
    pub path: String,
    /// The true class.
    pub label: String,
    /// The most probable class; empty if no probability was a number.
    pub predicted: String,
    /// Of the most probable class.
    pub probability: f64,
    /// Of the true class; `None` if the model has no such class.
    pub of_label: Option<f64>,
}

/// The probability of every class of every row, as `predictions.csv` has them.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassProbabilities {
    /// `[C]`.
    pub class_names: Vec<String>,
    /// `[N][C]`.
    pub rows: Vec<Vec<f32>>,
}

impl ClassProbabilities {
    /// Reads every row in the order of the file.
    pub fn read(path: &Path) -> Result<ClassProbabilities, ArtifactError> {
        let invalid = |error: csv::Error| ArtifactError::invalid(path, error.to_string());
        let mut reader = csv::Reader::from_path(path).map_err(invalid)?;
        let header = reader.headers().map_err(invalid)?.clone();
        let class_of = |name: &str| Some(name.strip_prefix("p(")?.strip_suffix(')')?.to_owned());
        let (columns, class_names): (Vec<usize>, Vec<String>) =
            header.iter().enumerate().filter_map(|(column, name)| Some((column, class_of(name)?))).unzip();
        let row = |record: csv::StringRecord| {
            let number = |column: &usize| parse_probability(record.get(*column).unwrap_or_default(), &record, path);
            columns.iter().map(number).collect::<Result<Vec<f32>, _>>()
        };
        let rows = reader.records().map(|record| row(record.map_err(invalid)?)).collect::<Result<_, _>>()?;
        Ok(ClassProbabilities { class_names, rows })
    }
}

impl PredictedRow {
    /// Reads every row in the order of the file.
    pub fn read_all(path: &Path) -> Result<Vec<PredictedRow>, ArtifactError> {
        let invalid = |error: csv::Error| ArtifactError::invalid(path, error.to_string());
        let mut reader = csv::Reader::from_path(path).map_err(invalid)?;
        let header = reader.headers().map_err(invalid)?.clone();
        let rows = reader.records().map(|record| PredictedRow::parse(&record.map_err(invalid)?, &header, path));
        rows.collect()
    }

    /// Whether the most probable class is the true one.
    pub fn is_correct(&self) -> bool {
        self.label == self.predicted
    }

    fn parse(record: &csv::StringRecord, header: &csv::StringRecord, path: &Path) -> Result<PredictedRow, ArtifactError> {
        let column = |name: &str| header.iter().position(|other| other == name);
        let text = |name: &str| {
            let field = column(name).and_then(|column| record.get(column));
            field.ok_or_else(|| ArtifactError::invalid(path, format!("line {} has no `{name}`", line(record))))
        };
        let number = |text: &str| parse_probability::<f64>(text, record, path);
        let label = text("label")?.to_owned();
        let of_label = column(&format!("p({label})")).and_then(|column| record.get(column)).map(number).transpose()?;
        Ok(PredictedRow {
            path: text("path")?.to_owned(),
            predicted: text("predicted")?.to_owned(),
            probability: number(text("probability")?)?,
            of_label,
            label,
        })
    }
}

fn parse_probability<T: FromStr>(text: &str, record: &csv::StringRecord, path: &Path) -> Result<T, ArtifactError> {
    text.parse().map_err(|_| ArtifactError::invalid(path, format!("line {}: `{text}` is not a probability", line(record))))
}

fn line(record: &csv::StringRecord) -> u64 {
    record.position().map_or(0, csv::Position::line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{Predictions, RowLabels};

    #[test]
    fn what_is_written_of_predictions_is_read_whatever_is_in_a_name() {
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rows = RowLabels {
            labels: vec![0, 1, 2],
            label_names: strings(&["a, \"b\"", "<script>", "unknown"]),
            paths: strings(&["x,y.jpg", "line\nbreak.jpg", "z.jpg"]),
        };
        let class_names = strings(&["<script>", "a, \"b\""]);
        let probabilities = [0.75, 0.25, 0.875, 0.125, f32::NAN, 0.5];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        Predictions { probabilities: &probabilities, rows: &rows, class_names: &class_names }.write_csv(&path).unwrap();
        let read = PredictedRow::read_all(&path).unwrap();
        let row = |path: &str, label: &str, predicted: &str, probability, of_label| PredictedRow {
            path: path.to_owned(),
            label: label.to_owned(),
            predicted: predicted.to_owned(),
            probability,
            of_label,
        };
        let expected = [
            row("x,y.jpg", "a, \"b\"", "<script>", 0.75, Some(0.25)),
            row("line\nbreak.jpg", "<script>", "<script>", 0.875, Some(0.875)),
            row("z.jpg", "unknown", "a, \"b\"", 0.5, None),
        ];
        assert_eq!(read, expected);
        assert_eq!(read.iter().filter(|row| row.is_correct()).count(), 1);
        let all = ClassProbabilities::read(&path).unwrap();
        assert_eq!(all.class_names, class_names);
        assert_eq!(all.rows[..2], [vec![0.75, 0.25], vec![0.875, 0.125]]);
        assert!(all.rows[2][0].is_nan());
    }

    #[test]
    fn a_table_of_something_else_is_named_with_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        std::fs::write(&path, "path,label\na.jpg,cat\n").unwrap();
        assert!(PredictedRow::read_all(&path).unwrap_err().to_string().ends_with("line 2 has no `predicted`"));
    }
}
