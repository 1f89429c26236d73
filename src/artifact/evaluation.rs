//! `Evaluation` and `Predictions`: how well a model does, as JSON, and what it says of every row, as CSV.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::artifact::{ArtifactError, RowLabels};

/// The metrics of a model on labelled rows; all are fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Rows evaluated.
    pub rows: u64,
    /// The fraction of rows whose class has the highest probability.
    pub rank1: f64,
    /// The fraction of rows whose class is among the five highest; with fewer classes, among all.
    pub rank5: f64,
    /// Mean negative log-likelihood of the true class.
    pub loss: f64,
    pub classes: Vec<ClassReport>,
    /// `[true class][predicted class]`: counts.
    pub confusion: Vec<Vec<u64>>,
}

/// How well a model does on one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassReport {
    pub name: String,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
}

/// An evaluation on whole images beside one on several crops of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OversampleEvaluation {
    /// Crops per image.
    pub count: u32,
    pub baseline: Evaluation,
    pub crops: Evaluation,
    /// Rank-1 of the crops minus rank-1 of the baseline.
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

impl Predictions<'_> {
    /// The metrics. Rows are matched to classes by name; a row of a class that the model lacks counts as wrong.
    pub fn evaluate(&self) -> Evaluation {
        todo!()
    }

    /// Writes `path,label,predicted,probability,correct`, then one column per class with its probability.
    pub fn write_csv(&self, _path: &Path) -> Result<(), ArtifactError> {
        todo!()
    }
}

impl Evaluation {
    /// Reads the file.
    pub fn read(_path: &Path) -> Result<Evaluation, ArtifactError> {
        todo!()
    }

    /// Writes the file.
    pub fn write(&self, _path: &Path) -> Result<(), ArtifactError> {
        todo!()
    }
}

impl OversampleEvaluation {
    /// Reads the file.
    pub fn read(_path: &Path) -> Result<OversampleEvaluation, ArtifactError> {
        todo!()
    }

    /// Writes the file.
    pub fn write(&self, _path: &Path) -> Result<(), ArtifactError> {
        todo!()
    }
}
