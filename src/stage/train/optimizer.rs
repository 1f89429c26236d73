//! How weights follow their gradients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::ParameterProblem;

/// How weights are updated from gradients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// Learning rate.
        #[schemars(range(min = 0.0), extend("examples" = [1.0e-2]))]
        lr: f64,
        /// The part of the last update that is added to the next.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0), extend("examples" = [0.9]))]
        momentum: f64,
        /// Looks ahead by the momentum (Nesterov's).
        #[serde(default)]
        nesterov: bool,
    },
    /// Adam (Kingma and Ba, 2015).
    Adam {
        /// Learning rate.
        #[schemars(range(min = 0.0), extend("examples" = [1.0e-2]))]
        lr: f64,
        /// How slowly the mean of the gradients changes.
        #[serde(default = "Optimizer::adam_beta1")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta1: f64,
        /// How slowly the mean of their squares changes.
        #[serde(default = "Optimizer::adam_beta2")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta2: f64,
        /// Added to the root of that mean, against division by zero.
        #[serde(default = "Optimizer::adam_eps")]
        #[schemars(range(min = 0.0))]
        eps: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    Adamw {
        /// Learning rate.
        #[schemars(range(min = 0.0), extend("examples" = [1.0e-2]))]
        lr: f64,
        /// How slowly the mean of the gradients changes.
        #[serde(default = "Optimizer::adam_beta1")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta1: f64,
        /// How slowly the mean of their squares changes.
        #[serde(default = "Optimizer::adam_beta2")]
        #[schemars(range(min = 0.0, max = 1.0))]
        beta2: f64,
        /// Added to the root of that mean, against division by zero.
        #[serde(default = "Optimizer::adam_eps")]
        #[schemars(range(min = 0.0))]
        eps: f64,
        /// In every step kernels shrink by this fraction of themselves times the learning rate.
        #[serde(default = "Optimizer::adamw_decay")]
        #[schemars(range(min = 0.0))]
        weight_decay: f64,
    },
}

impl Optimizer {
    /// The initial learning rate.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Optimizer::Sgd { lr, .. } | Optimizer::Adam { lr, .. } | Optimizer::Adamw { lr, .. } => *lr,
        }
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let (name, checks) = match *self {
            Optimizer::Sgd { lr, momentum, nesterov } => ("sgd", check_sgd(lr, momentum, nesterov)),
            Optimizer::Adam { lr, beta1, beta2, eps } => ("adam", check_adam(lr, [beta1, beta2], eps)),
            Optimizer::Adamw { lr, beta1, beta2, eps, weight_decay } => {
                let mut checks = check_adam(lr, [beta1, beta2], eps);
                checks.push((weight_decay >= 0.0, "weight-decay", "`weight-decay` is 0 or more"));
                ("adamw", checks)
            }
        };
        let failed = checks.into_iter().filter(|(holds, _, _)| !holds);
        failed.map(|(_, key, message)| ParameterProblem::new(format!("optimizer.{name}.{key}"), message)).collect()
    }

    fn adam_beta1() -> f64 {
        0.9
    }

    fn adam_beta2() -> f64 {
        0.999
    }

    fn adam_eps() -> f64 {
        1e-8
    }

    fn adamw_decay() -> f64 {
        0.01
    }
}

/// Whether a value can work, its key, and what would be right.
type Check = (bool, &'static str, &'static str);

fn check_sgd(lr: f64, momentum: f64, nesterov: bool) -> Vec<Check> {
    vec![
        (lr >= 0.0, "lr", "`lr` is 0 or more"),
        ((0.0..1.0).contains(&momentum), "momentum", "`momentum` is at least 0 and below 1"),
        (!nesterov || momentum > 0.0, "nesterov", "`nesterov` needs a `momentum` above 0"),
    ]
}

fn check_adam(lr: f64, [beta1, beta2]: [f64; 2], eps: f64) -> Vec<Check> {
    vec![
        (lr >= 0.0, "lr", "`lr` is 0 or more"),
        ((0.0..1.0).contains(&beta1), "beta1", "`beta1` is at least 0 and below 1"),
        ((0.0..1.0).contains(&beta2), "beta2", "`beta2` is at least 0 and below 1"),
        (eps >= 0.0, "eps", "`eps` is 0 or more"),
    ]
}
