//! What a training may be asked for beyond a network, an optimizer and epochs.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::HistoryEpoch;
use crate::stage::ParameterProblem;

/// The epoch whose weights become the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The last one.
    #[default]
    Last,
    /// The first of those that did best on the validation images.
    Best {
        /// What "best" is measured by.
        #[serde(default)]
        metric: ValMetric,
    },
}

/// Ends the training when the validation images have not been done better for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EarlyStopping {
    /// What has to become better.
    #[serde(default)]
    pub metric: ValMetric,
    /// Epochs without a better value, after which training ends.
    #[schemars(range(min = 1))]
    pub patience: u32,
}

/// What is measured on the validation images after every epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValMetric {
    /// The lower the better.
    #[default]
    ValLoss,
    /// The higher the better.
    ValAccuracy,
}

/// How much the images of each class count in the training loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Each class the same in all, however many images it has: `images / (classes * images of the class)`.
    Balanced,
    /// As given by class name; others count 1.
    ByName(BTreeMap<String, f64>),
}

/// The numbers that forward and backward passes are computed with. Weights, statistics and losses are fp32 always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    #[default]
    Fp32,
    /// Activations and kernels of 16 bits: 8 of exponent, 8 of precision.
    Bf16,
}

impl EarlyStopping {
    /// Whether training ends after these epochs.
    pub fn stops_after(&self, epochs: &[HistoryEpoch]) -> bool {
        let since_best = self.metric.best(epochs).map(|best| epochs.len() - 1 - best);
        since_best.is_some_and(|epochs| epochs >= self.patience as usize)
    }
}

impl fmt::Display for EarlyStopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has not become better for {} epochs", self.metric.name(), self.patience)
    }
}

impl ValMetric {
    /// The name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            ValMetric::ValLoss => "val-loss",
            ValMetric::ValAccuracy => "val-accuracy",
        }
    }

    /// The place of the best epoch, the first of those that are equal; `None` if nothing was measured.
    pub fn best(self, epochs: &[HistoryEpoch]) -> Option<usize> {
        let merits = epochs.iter().map(|epoch| self.merit(epoch)).enumerate();
        let measured = merits.filter_map(|(place, merit)| Some((place, merit?)));
        let best = measured.reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(place, _)| place)
    }

    fn merit(self, epoch: &HistoryEpoch) -> Option<f64> {
        match self {
            ValMetric::ValLoss => epoch.val_loss.map(|loss| -loss),
            ValMetric::ValAccuracy => epoch.val_accuracy,
        }
    }
}

impl ClassWeights {
    pub(super) fn check(&self) -> Option<ParameterProblem> {
        let ClassWeights::ByName(weights) = self else { return None };
        let (name, weight) = weights.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0)?;
        Some(ParameterProblem::new("class-weights.by-name", format!("the weight of `{name}` is 0 or more, not {weight}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(losses: &[f64]) -> Vec<HistoryEpoch> {
        let epoch = |(&loss, epoch)| HistoryEpoch {
            epoch,
            learning_rate: 0.1,
            train_loss: 1.0,
            train_accuracy: 0.5,
            val_loss: Some(loss),
            val_accuracy: Some(1.0 - loss / 10.0),
        };
        losses.iter().zip(1..).map(epoch).collect()
    }

    #[test]
    fn the_best_epoch_is_the_first_of_the_best() {
        let epochs = history(&[3.0, 2.0, 2.5, 2.0]);
        assert_eq!((ValMetric::ValLoss.best(&epochs), ValMetric::ValAccuracy.best(&epochs)), (Some(1), Some(1)));
        assert_eq!(ValMetric::ValLoss.best(&[]), None);
    }

    #[test]
    fn training_ends_when_patience_is_over() {
        let stopping = EarlyStopping { metric: ValMetric::ValLoss, patience: 2 };
        assert!(!stopping.stops_after(&history(&[3.0, 2.0, 2.5])));
        assert!(stopping.stops_after(&history(&[3.0, 2.0, 2.5, 2.0])));
        assert!(!stopping.stops_after(&history(&[3.0, 2.0, 2.5, 1.9])));
        assert!(!stopping.stops_after(&[]));
    }
}
