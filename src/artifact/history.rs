//! `History`: the metrics of every epoch, as JSON, and for people as CSV and curves.

use std::fs::File;
use std::iter;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactError, figure, json, write_csv};
use crate::event::EpochMetrics;

/// The metrics of every epoch of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    pub epochs: Vec<HistoryEpoch>,
}

/// The metrics of one epoch. Speeds are left out: the file depends on the inputs alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryEpoch {
    /// Counted from 1.
    #[schemars(range(min = 1))]
    pub epoch: u32,
    /// In force during the epoch.
    #[schemars(range(min = 0.0), extend("examples" = [0.001]))]
    pub learning_rate: f64,
    /// Mean per image, with the penalty.
    pub train_loss: f64,
    /// A fraction.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub train_accuracy: f64,
    /// Of the validation set, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub val_accuracy: Option<f64>,
}

impl History {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<History, ArtifactError> {
        json::read(path)
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), ArtifactError> {
        json::write(path, self)
    }

    /// Writes a row for each epoch under the names that the JSON has; what was not measured is empty.
    pub fn write_csv(&self, path: &Path) -> Result<(), ArtifactError> {
        let header = ["epoch", "learning-rate", "train-loss", "train-accuracy", "val-loss", "val-accuracy"].map(str::to_owned);
        let file = File::create(path).map_err(|source| ArtifactError::io(path, source))?;
        let lines = iter::once(header).chain(self.epochs.iter().map(HistoryEpoch::fields));
        write_csv(file, lines).map_err(|source| ArtifactError::io(path, source))
    }

    /// Draws loss, accuracy and learning rate over the epochs as SVG.
    pub fn write_curves(&self, path: &Path) -> Result<(), ArtifactError> {
        figure::write(path, figure::curves::SIZE, "Loss, accuracy and learning rate over the epochs", |area| {
            figure::curves::draw(self, area)
        })
    }
}

impl HistoryEpoch {
    /// In the order of the table's columns.
    fn fields(&self) -> [String; 6] {
        let HistoryEpoch { epoch, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy } = self;
        let measured = |value: &Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let [learning_rate, train_loss, train_accuracy] = [learning_rate, train_loss, train_accuracy].map(f64::to_string);
        [epoch.to_string(), learning_rate, train_loss, train_accuracy, measured(val_loss), measured(val_accuracy)]
    }
}

impl From<&EpochMetrics> for HistoryEpoch {
    fn from(metrics: &EpochMetrics) -> HistoryEpoch {
        HistoryEpoch {
            epoch: metrics.epoch,
            learning_rate: metrics.learning_rate,
            train_loss: metrics.train_loss,
            train_accuracy: metrics.train_accuracy,
            val_loss: metrics.val_loss,
            val_accuracy: metrics.val_accuracy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_back_and_says_nothing_of_speed() {
        let metrics = EpochMetrics {
            epoch: 1,
            epochs: 2,
            learning_rate: 1e-3,
            train_loss: 0.75,
            train_accuracy: 0.5,
            val_loss: None,
            val_accuracy: Some(0.25),
            images_per_second: 123.0,
            finished: Some("2026-01-02T03:04:05Z".to_owned()),
        };
        let history = History { epochs: vec![HistoryEpoch::from(&metrics)] };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.json");
        history.write(&path).unwrap();
        assert_eq!(History::read(&path).unwrap(), history);
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r#"
        {
          "epochs": [
            {
              "epoch": 1,
              "learning-rate": 0.001,
              "train-loss": 0.75,
              "train-accuracy": 0.5,
              "val-accuracy": 0.25
            }
          ]
        }
        "#);
    }

    fn history(rates: &[f64]) -> History {
        let epoch = |(index, &learning_rate): (usize, &f64)| HistoryEpoch {
            epoch: index as u32 + 1,
            learning_rate,
            train_loss: 2.0 / (index + 1) as f64,
            train_accuracy: 0.5,
            val_loss: (index != 0).then_some(f64::NAN),
            val_accuracy: Some(0.25),
        };
        History { epochs: rates.iter().enumerate().map(epoch).collect() }
    }

    #[test]
    fn a_history_is_a_table_with_a_row_for_each_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.csv");
        history(&[1e-2, 1e-3]).write_csv(&path).unwrap();
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap(), @r"
        epoch,learning-rate,train-loss,train-accuracy,val-loss,val-accuracy
        1,0.01,2,0.5,,0.25
        2,0.001,1,0.5,NaN,0.25
        ");
    }

    /// How many points the curves have, and the drawing.
    fn drawn(rates: &[f64]) -> (usize, String) {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.svg", "b.svg"].map(|name| folder.path().join(name));
        paths.iter().for_each(|path| history(rates).write_curves(path).unwrap());
        let [first, second] = paths.map(|path| std::fs::read_to_string(path).unwrap());
        assert_eq!(first, second);
        (first.matches("<circle").count(), first)
    }

    #[test]
    fn curves_have_a_point_for_every_measured_value_and_a_logarithmic_scale_for_rates_that_fall_far() {
        // Of each epoch but the NaN losses: training loss, both accuracies, learning rate.
        let (points, svg) = drawn(&[1e-2, 1e-3, 1e-4]);
        assert_eq!(points, 3 * 4);
        assert!(svg.contains("1.0e-3"), "{svg}");
        let (points, svg) = drawn(&[1e-2, 5e-3]);
        assert_eq!(points, 2 * 4);
        assert!(svg.contains("6.0e-3") && svg.contains("\n0\n"), "{svg}");
        assert_eq!(drawn(&[0.1]).0, 4);
        assert_eq!(drawn(&[]).0, 0);
    }
}
