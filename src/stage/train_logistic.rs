//! `train` with `model: logistic-regression`: a linear classifier on features, by L-BFGS, with C chosen by
//! cross-validation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, InputUse, OutputDecl, ParameterProblem, Reference, StageContext, StageError, StageJob, StageOutput};

/// Fits logistic regression to features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainLogistic {
    /// The features to learn from.
    pub train: Reference,
    /// The classifier.
    pub model: ClassifierModel,
}

/// A classifier of features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierModel {
    LogisticRegression(LogisticRegression),
}

/// Multinomial logistic regression with an L2 penalty, as scikit-learn defines it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LogisticRegression {
    /// Inverse strengths of the penalty to choose from; the one with the best mean accuracy over the folds is used.
    #[serde(default = "LogisticRegression::default_c")]
    pub c: Vec<f64>,
    /// Folds of the cross-validation: stratified, in the order of the rows.
    #[serde(default = "LogisticRegression::default_folds")]
    #[schemars(range(min = 2))]
    pub folds: u32,
    /// L-BFGS iterations at most.
    #[serde(default = "LogisticRegression::default_max_iterations")]
    #[schemars(range(min = 1))]
    pub max_iterations: u32,
    /// The greatest gradient component at which the fit is done.
    #[serde(default = "LogisticRegression::default_tolerance")]
    #[schemars(range(min = 0.0))]
    pub tolerance: f64,
}

impl TrainLogistic {
    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        vec![InputUse::reference("train", &self.train, &[ArtifactType::Features])]
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![OutputDecl { name: "model", artifact: ArtifactType::Model, file: "model.safetensors" }]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        Vec::new()
    }
}

impl LogisticRegression {
    fn default_c() -> Vec<f64> {
        vec![1e-4, 1e-3, 1e-2, 0.1, 1.0]
    }

    fn default_folds() -> u32 {
        3
    }

    fn default_max_iterations() -> u32 {
        100
    }

    fn default_tolerance() -> f64 {
        1e-4
    }
}

impl Default for LogisticRegression {
    fn default() -> LogisticRegression {
        LogisticRegression {
            c: LogisticRegression::default_c(),
            folds: LogisticRegression::default_folds(),
            max_iterations: LogisticRegression::default_max_iterations(),
            tolerance: LogisticRegression::default_tolerance(),
        }
    }
}

pub(super) fn run(_spec: &TrainLogistic, _job: &StageJob, _context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    todo!()
}
