//! `compute-mean`: the mean and standard deviation of a set of packed images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, InputUse, OutputDecl, ParameterProblem, Reference, StageContext, StageError, StageJob, StageOutput};

/// Computes the mean of packed images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ComputeMean {
    /// The images, usually the training part.
    pub images: Reference,
    /// One mean for each colour channel, or for each pixel.
    #[serde(default)]
    pub per: MeanPer,
}

/// What a mean is taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeanPer {
    /// Three numbers: all pixels of all images, by channel.
    #[default]
    Channel,
    /// An image: every pixel over all images, by channel.
    Pixel,
}

impl ComputeMean {
    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        vec![InputUse::reference("images", &self.images, &[ArtifactType::Images])]
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![OutputDecl { name: "mean", artifact: ArtifactType::Mean, file: "mean.json" }]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        Vec::new()
    }
}

pub(super) fn run(_spec: &ComputeMean, _job: &StageJob, _context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    todo!()
}
