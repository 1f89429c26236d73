//! `oversample-eval`: parameters, inputs and outputs. The worker does the work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, InputUse, OutputDecl, ParameterProblem, Precision, Reference};

/// Evaluates a network on whole images and on ten crops of each, side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OversampleEval {
    /// The images, usually the test part.
    pub images: Reference,
    /// A network trained by a `train` stage.
    pub model: Reference,
    /// The mean that the model was trained with; the model knows it, a given one is checked against it.
    pub mean: Option<Reference>,
    /// Crops an image: 10 is the four corners and the centre, each also mirrored; 5 is without the mirrored ones.
    #[serde(default = "OversampleEval::ten")]
    pub crops: u32,
    /// Images per forward pass, each with all its crops.
    #[serde(default = "OversampleEval::default_batch")]
    #[schemars(range(min = 1))]
    pub batch: u32,
    /// The numbers that the network computes with.
    #[serde(default)]
    pub precision: Precision,
}

impl OversampleEval {
    /// So many crops of packed images, else as it is by default.
    pub fn of(images: Reference, model: Reference, crops: u32) -> OversampleEval {
        let (batch, precision) = (OversampleEval::default_batch(), Precision::default());
        OversampleEval { images, model, mean: None, crops, batch, precision }
    }

    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let mut inputs = vec![
            InputUse::reference("images", &self.images, &[ArtifactType::Images]),
            InputUse::reference("model", &self.model, &[ArtifactType::Model]),
        ];
        inputs.extend(self.mean.as_ref().map(|mean| InputUse::reference("mean", mean, &[ArtifactType::Mean])));
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![
            OutputDecl::new("evaluation", ArtifactType::Evaluation, "evaluation.json"),
            OutputDecl::new("predictions", ArtifactType::Predictions, "predictions.csv"),
            OutputDecl::new("confusion", ArtifactType::Figure, "confusion.svg"),
        ]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        if !matches!(self.crops, 5 | 10) {
            problems.push(ParameterProblem::new("crops", format!("`crops` is 5 or 10, not {}", self.crops)));
        }
        if self.batch == 0 {
            problems.push(ParameterProblem::new("batch", "`batch` is 1 or more"));
        }
        problems
    }

    fn ten() -> u32 {
        10
    }

    fn default_batch() -> u32 {
        8
    }
}
