//! `History`: the metrics of every epoch, as JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactError, json};
use crate::event::EpochMetrics;

/// The metrics of every epoch of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub epochs: Vec<HistoryEpoch>,
}

/// The metrics of one epoch. Speeds are left out: the file depends on the inputs alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryEpoch {
    /// Counted from 1.
    pub epoch: u32,
    pub learning_rate: f64,
    pub train_loss: f64,
    pub train_accuracy: f64,
    /// Of the validation set, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
}
