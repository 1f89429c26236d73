//! The stage kinds: one file each, with its typed parameters, inputs, outputs and checks; for kinds that need no network
//! also the work itself.
//!
//! A stage sees its job, not the graph: nothing here knows manifests, plans or the cache. A kind is a variant of
//! [`StageSpec`] and each `match` on it is the registry.

mod augment;
mod command;
mod compute_mean;
mod evaluate;
mod execution;
mod extract_features;
mod image_source;
mod job;
mod linear_classifier;
mod oversample_eval;
mod pack;
mod reference;
mod rows;
mod sketch;
mod train;
mod train_logistic;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::artifact::{Decode, Fit, PackRule};
pub use crate::event::{RowCounts, SkippedImage, StageOutput};
pub use augment::{Augment, Shear};
pub use command::{Command, CommandInput, CommandLine, CommandOutput, CommandOutputs, Word};
pub(crate) use command::{INPUTS, TEMPORARY};
pub use compute_mean::{ComputeMean, MeanPer};
pub use evaluate::Evaluate;
pub use execution::{Execution, MemorySize, Needs, TimeLimit};
pub use extract_features::{ExtractFeatures, Normalize, PretrainedNetwork};
pub use image_source::{
    FolderFiles, FoundFile, ImageLocation, ImageOutline, ImageReader, PackedLocation, list_files, list_images, look_at_files,
};
pub use job::{Device, JobInput, StageContext, StageError, StageJob};
pub use oversample_eval::OversampleEval;
pub use pack::{
    Census, CensusInputs, ClassCount, ClassNames, ImageList, Labels, OnError, Pack, PackSource, Share, Split, Subset, TableLabels,
    Unlabelled,
};
pub use reference::{ArtifactType, InputSource, InputUse, OutputDecl, Reference};
pub use rows::{EarlierRows, RowSources};
pub use sketch::{Sketch, TensorShape};
pub use train::{
    Activation, Checkpoints, ClassWeights, EarlyStopping, EvalView, InputRule, Keep, Network, NormPlace, Optimizer, Phase, Precision,
    Schedule, Train, TrainView, ValMetric, Warmup,
};
pub use train_logistic::{ClassifierModel, LogisticRegression, TrainLogistic};

/// A stage's kind with its parameters. As JSON it is the parameter part of the action key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StageSpec {
    Pack(Pack),
    ComputeMean(ComputeMean),
    ExtractFeatures(ExtractFeatures),
    Train(Train),
    TrainLogistic(TrainLogistic),
    OversampleEval(OversampleEval),
    Evaluate(Evaluate),
    Command(Command),
}

/// A parameter with a value that cannot work, found without looking at any input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterProblem {
    /// Where in the stage, as dotted keys: `split.val`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The name that is wrong, where it may be a slip.
    pub misspelt: Option<Misspelt>,
}

/// A name that is none of those that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelt {
    pub name: String,
    pub known: Vec<String>,
}

impl ParameterProblem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> ParameterProblem {
        ParameterProblem { path: path.into(), message: message.into(), misspelt: None }
    }

    pub(crate) fn misspelt(self, name: &str, known: impl Iterator<Item = String>) -> ParameterProblem {
        ParameterProblem { misspelt: Some(Misspelt { name: name.to_owned(), known: known.collect() }), ..self }
    }
}

impl StageSpec {
    /// The kind's name in a manifest.
    pub fn kind(&self) -> &'static str {
        match self {
            StageSpec::Pack(_) => "pack",
            StageSpec::ComputeMean(_) => "compute-mean",
            StageSpec::ExtractFeatures(_) => "extract-features",
            StageSpec::Train(_) | StageSpec::TrainLogistic(_) => "train",
            StageSpec::OversampleEval(_) => "oversample-eval",
            StageSpec::Evaluate(_) => "evaluate",
            StageSpec::Command(_) => "command",
        }
    }

    /// The version of what the kind computes; raised when the same inputs would give another output.
    pub fn version(&self) -> u32 {
        match self {
            StageSpec::Pack(_) => 2,
            StageSpec::ComputeMean(_) => 1,
            StageSpec::ExtractFeatures(_) => 3,
            StageSpec::Train(_) => 4,
            StageSpec::TrainLogistic(_) => 1,
            StageSpec::OversampleEval(_) => 4,
            StageSpec::Evaluate(_) => 4,
            StageSpec::Command(_) => 1,
        }
    }

    /// Whether the seed decides anything.
    pub fn uses_seed(&self) -> bool {
        match self {
            StageSpec::Pack(_) | StageSpec::Train(_) => true,
            StageSpec::Command(spec) => spec.uses_seed(),
            StageSpec::ComputeMean(_)
            | StageSpec::ExtractFeatures(_)
            | StageSpec::TrainLogistic(_)
            | StageSpec::OversampleEval(_)
            | StageSpec::Evaluate(_) => false,
        }
    }

    /// The parameters as the action key has them: defaults filled in, every input's place null, what does not count left out.
    pub fn parameters(&self) -> Result<Value, serde_json::Error> {
        let mut parameters = serde_json::to_value(self)?;
        if let StageSpec::Train(spec) = self {
            parameters["epochs"] = spec.total_epochs().into();
        }
        for input in self.inputs() {
            if let Some(place) = parameters.pointer_mut(&format!("/{}", input.name.replace('.', "/"))) {
                *place = Value::Null;
            }
        }
        if let Value::Object(map) = &mut parameters {
            for key in ["kind", "checkpoints", "pass-environment"] {
                map.shift_remove(key);
            }
        }
        Ok(parameters)
    }

    /// For a kind that works epoch by epoch: the parameters that count in every epoch, and the learning rate of each.
    pub fn trajectory(&self) -> Result<Option<(Value, Vec<f64>)>, serde_json::Error> {
        match self {
            StageSpec::Train(spec) => Ok(Some((spec.constant_parameters(self.parameters()?), spec.learning_rates()))),
            _ => Ok(None),
        }
    }

    /// For a kind whose every row is made of one image: the parameters and inputs that only decide which rows there are, in which
    /// order and with which label. All others, and new ones until they are named here, decide what a row holds.
    pub fn parameters_beside_rows(&self) -> Option<&'static [&'static str]> {
        match self {
            StageSpec::Pack(_) => Some(Pack::BESIDE_ROWS),
            StageSpec::ExtractFeatures(_) => Some(ExtractFeatures::BESIDE_ROWS),
            _ => None,
        }
    }

    /// Every input that the parameters name. An input's name is its place in the stage, as dotted keys.
    pub fn inputs(&self) -> Vec<InputUse<'_>> {
        match self {
            StageSpec::Pack(spec) => spec.inputs(),
            StageSpec::ComputeMean(spec) => spec.inputs(),
            StageSpec::ExtractFeatures(spec) => spec.inputs(),
            StageSpec::Train(spec) => spec.inputs(),
            StageSpec::TrainLogistic(spec) => spec.inputs(),
            StageSpec::OversampleEval(spec) => spec.inputs(),
            StageSpec::Evaluate(spec) => spec.inputs(),
            StageSpec::Command(spec) => spec.inputs(),
        }
    }

    /// The outputs with these parameters, the main one first.
    pub fn outputs(&self) -> Vec<OutputDecl> {
        match self {
            StageSpec::Pack(spec) => spec.outputs(),
            StageSpec::ComputeMean(spec) => spec.outputs(),
            StageSpec::ExtractFeatures(spec) => spec.outputs(),
            StageSpec::Train(spec) => spec.outputs(),
            StageSpec::TrainLogistic(spec) => spec.outputs(),
            StageSpec::OversampleEval(spec) => spec.outputs(),
            StageSpec::Evaluate(spec) => spec.outputs(),
            StageSpec::Command(spec) => spec.outputs(),
        }
    }

    /// Values that cannot work, as far as the parameters alone tell.
    pub fn check(&self) -> Vec<ParameterProblem> {
        match self {
            StageSpec::Pack(spec) => spec.check(),
            StageSpec::ComputeMean(spec) => spec.check(),
            StageSpec::ExtractFeatures(spec) => spec.check(),
            StageSpec::Train(spec) => spec.check(),
            StageSpec::TrainLogistic(spec) => spec.check(),
            StageSpec::OversampleEval(spec) => spec.check(),
            StageSpec::Evaluate(spec) => spec.check(),
            StageSpec::Command(spec) => spec.check(),
        }
    }

    /// The memory that the work takes on the CPU, about, where its parameters tell: of a training, with the fewest classes.
    pub fn memory(&self) -> Option<MemorySize> {
        match self {
            StageSpec::Train(spec) => spec.memory(2),
            StageSpec::Pack(_)
            | StageSpec::ComputeMean(_)
            | StageSpec::ExtractFeatures(_)
            | StageSpec::TrainLogistic(_)
            | StageSpec::OversampleEval(_)
            | StageSpec::Evaluate(_)
            | StageSpec::Command(_) => None,
        }
    }

    /// Whether the work is done by the worker, the program that has libtorch.
    pub fn needs_worker(&self) -> bool {
        match self {
            StageSpec::Pack(_) | StageSpec::ComputeMean(_) | StageSpec::TrainLogistic(_) | StageSpec::Command(_) => false,
            StageSpec::Evaluate(spec) => spec.images.is_some(),
            StageSpec::ExtractFeatures(_) | StageSpec::Train(_) | StageSpec::OversampleEval(_) => true,
        }
    }
}

/// Runs a stage that needs neither a network nor a program, in this process.
pub fn run(job: &StageJob, context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    match &job.spec {
        StageSpec::Pack(spec) => pack::run(spec, job, context),
        StageSpec::ComputeMean(spec) => compute_mean::run(spec, job, context),
        StageSpec::TrainLogistic(spec) => train_logistic::run(spec, job, context),
        StageSpec::Evaluate(spec) if spec.features.is_some() => evaluate::run(job, context),
        StageSpec::Command(_) => Err(StageError::Invalid(format!("stage {} is a program's to run", job.stage))),
        StageSpec::Evaluate(_) | StageSpec::ExtractFeatures(_) | StageSpec::Train(_) | StageSpec::OversampleEval(_) => {
            Err(StageError::Invalid(format!("stage {} is the worker's to run", job.stage)))
        }
    }
}
