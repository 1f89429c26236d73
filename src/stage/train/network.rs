//! The networks that can be trained, and what is chosen about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::ParameterProblem;

/// A network and its options. The number of classes comes from the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Network {
    /// AlexNet, by default with batch normalisation after every activation.
    Alexnet {
        /// Factor of the penalty `l2 * sum(w^2)` on the kernels of convolutions and dense layers.
        #[serde(default = "Network::two_in_ten_thousand")]
        #[schemars(range(min = 0.0))]
        l2: f64,
        /// What follows every convolution and every dense layer but the last.
        #[serde(default)]
        activation: Activation,
        /// Where a batch is normalised.
        #[serde(default = "NormPlace::after")]
        norm: NormPlace,
    },
    /// MiniGoogLeNet, for 32×32 images.
    MiniGooglenet {
        /// Factor of the penalty `l2 * sum(w^2)` on the kernels of convolutions and dense layers.
        #[serde(default)]
        #[schemars(range(min = 0.0))]
        l2: f64,
        /// What follows every convolution.
        #[serde(default)]
        activation: Activation,
        /// Where a batch is normalised.
        #[serde(default = "NormPlace::before")]
        norm: NormPlace,
    },
    /// DeeperGoogLeNet, for 64×64 images.
    DeeperGooglenet {
        /// Factor of the penalty `l2 * sum(w^2)` on the kernels of convolutions and dense layers.
        #[serde(default = "Network::two_in_ten_thousand")]
        #[schemars(range(min = 0.0))]
        l2: f64,
        /// What follows every convolution.
        #[serde(default)]
        activation: Activation,
        /// Where a batch is normalised.
        #[serde(default = "NormPlace::before")]
        norm: NormPlace,
        /// Whether the inception modules 4a to 4e are there.
        #[serde(default = "Network::complete")]
        modules_4: bool,
    },
}

/// The nonlinearity of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `max(x, 0)`.
    #[default]
    Relu,
    /// `x` above zero, `exp(x) - 1` below (Clevert, Unterthiner and Hochreiter, 2016).
    Elu,
}

/// Where a batch is normalised, seen from the activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlace {
    /// As Ioffe and Szegedy (2015) have it.
    BeforeActivation,
    /// The next layer's input has mean 0.
    AfterActivation,
}

impl Network {
    /// The network's name in a manifest.
    pub fn name(&self) -> &'static str {
        match self {
            Network::Alexnet { .. } => "alexnet",
            Network::MiniGooglenet { .. } => "mini-googlenet",
            Network::DeeperGooglenet { .. } => "deeper-googlenet",
        }
    }

    /// The least side of an image, in pixels, of which something is left after the network's last pooling.
    pub fn smallest_input(&self) -> u32 {
        match self {
            Network::Alexnet { .. } => 57,
            Network::MiniGooglenet { .. } => 7,
            Network::DeeperGooglenet { .. } => 1,
        }
    }

    /// The penalty's factor.
    pub fn l2(&self) -> f64 {
        match *self {
            Network::Alexnet { l2, .. } | Network::MiniGooglenet { l2, .. } | Network::DeeperGooglenet { l2, .. } => l2,
        }
    }

    pub(super) fn check(&self, size: u32) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        let (name, smallest) = (self.name(), self.smallest_input());
        if size < smallest {
            let message = format!("{name} needs images of {smallest} pixels or more, not {size}");
            problems.push(ParameterProblem::new("input.size", message));
        }
        if self.l2() < 0.0 || !self.l2().is_finite() {
            problems.push(ParameterProblem::new(format!("model.{name}.l2"), "`l2` is 0 or more"));
        }
        problems
    }

    fn two_in_ten_thousand() -> f64 {
        2e-4
    }

    fn complete() -> bool {
        true
    }
}

impl NormPlace {
    fn before() -> NormPlace {
        NormPlace::BeforeActivation
    }

    fn after() -> NormPlace {
        NormPlace::AfterActivation
    }
}
