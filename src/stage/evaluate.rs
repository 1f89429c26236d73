//! `evaluate`: parameters, inputs and outputs; the work for classifiers of features. Networks are run by the worker.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::{FeaturesFile, Predictions};
use crate::event::StageEvent;
use crate::stage::linear_classifier::LinearClassifier;
use crate::stage::{ArtifactType, InputUse, OutputDecl, ParameterProblem, Reference, StageContext, StageError, StageJob, StageOutput};

/// Evaluates a model: rank-1, rank-5, a report per class, the confusion matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Evaluate {
    /// Packed images, for a network. Either this or `features`.
    pub images: Option<Reference>,
    /// Features, for a classifier. Either this or `images`.
    pub features: Option<Reference>,
    /// A model from a `train` stage.
    pub model: Reference,
    /// The mean that the model was trained with; the model knows it, a given one is checked against it.
    pub mean: Option<Reference>,
    /// Images per forward pass.
    #[serde(default = "Evaluate::default_batch")]
    #[schemars(range(min = 1))]
    pub batch: u32,
}

impl Evaluate {
    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let mut inputs = Vec::new();
        inputs.extend(self.images.as_ref().map(|images| InputUse::reference("images", images, &[ArtifactType::Images])));
        inputs.extend(self.features.as_ref().map(|features| InputUse::reference("features", features, &[ArtifactType::Features])));
        inputs.push(InputUse::reference("model", &self.model, &[ArtifactType::Model]));
        inputs.extend(self.mean.as_ref().map(|mean| InputUse::reference("mean", mean, &[ArtifactType::Mean])));
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![
            OutputDecl { name: "evaluation", artifact: ArtifactType::Evaluation, file: "evaluation.json" },
            OutputDecl { name: "predictions", artifact: ArtifactType::Predictions, file: "predictions.csv" },
        ]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let one_given = self.images.is_some() != self.features.is_some();
        if one_given { Vec::new() } else { vec![ParameterProblem::new("", "give either `images` or `features`")] }
    }

    fn default_batch() -> u32 {
        64
    }
}

pub(super) fn run(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    let model = job.file("model")?;
    let classifier = LinearClassifier::read(model)?;
    let features = FeaturesFile::open(job.file("features")?)?;
    if features.dimensions != classifier.dimensions() {
        let (given, wanted) = (features.dimensions, classifier.dimensions());
        let reason = format!("the model was trained on {wanted} features a row, but these rows have {given}");
        return Err(StageError::Input { path: model.to_owned(), reason });
    }
    let probabilities = classifier.probabilities(&features.values);
    let predictions = Predictions { probabilities: &probabilities, rows: &features.rows, class_names: &classifier.class_names };
    let evaluation = predictions.evaluate();
    evaluation.write(&job.output("evaluation")?)?;
    predictions.write_csv(&job.output("predictions")?)?;
    context.emit(StageEvent::Metric { name: "rank-1".to_owned(), value: evaluation.rank1 });
    context.emit(StageEvent::Metric { name: "rank-5".to_owned(), value: evaluation.rank5 });
    Ok(StageOutput::default())
}
