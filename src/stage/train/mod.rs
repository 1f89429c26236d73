//! `train` for networks: parameters, inputs and outputs. The worker does the work.

mod checkpoints;
mod network;
mod optimizer;
mod options;
mod schedule;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::stage::train::checkpoints::Checkpoints;
pub use crate::stage::train::network::{Activation, Network, NormPlace};
pub use crate::stage::train::optimizer::Optimizer;
pub use crate::stage::train::options::{ClassWeights, EarlyStopping, Keep, Precision, ValMetric};
pub use crate::stage::train::schedule::{Phase, Schedule, Warmup};
use crate::stage::{ArtifactType, Augment, InputUse, OutputDecl, ParameterProblem, Reference};

/// Trains a network on packed images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Train {
    /// The images to learn from.
    pub train: Reference,
    /// Images to measure loss and accuracy on after every epoch.
    pub val: Option<Reference>,
    /// The mean that is subtracted from every image, in 0–255 units.
    pub mean: Option<Reference>,
    /// The network.
    #[schemars(extend("examples" = ["alexnet", { "mini-googlenet": { "l2": 5.0e-4 } }]))]
    pub model: Network,
    /// What the network sees of an image.
    #[schemars(extend("examples" = [{ "size": 227, "train": "random-crop", "eval": "resize" }]))]
    pub input: InputRule,
    /// How training images are varied.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "rotation": 20, "zoom": 0.15, "shift": 0.2, "horizontal-flip": true }]))]
    pub augment: Augment,
    /// How weights are updated.
    #[schemars(extend("examples" = [{ "adam": { "lr": 1.0e-3 } }, { "sgd": { "lr": 1.0e-2, "momentum": 0.9 } }]))]
    pub optimizer: Optimizer,
    /// How the learning rate changes from epoch to epoch.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "polynomial": { "power": 1 } }, { "phases": [{ "epochs": 25, "lr": 1.0e-2 }, { "epochs": 10, "lr": 1.0e-3 }] }]))]
    pub schedule: Schedule,
    /// Smaller learning rates in the first epochs.
    #[schemars(extend("examples" = [{ "epochs": 5 }]))]
    pub warmup: Option<Warmup>,
    /// How often every training image is seen. Only a schedule of `phases`, which have epochs of their own, goes without.
    #[schemars(range(min = 1))]
    #[schemars(extend("examples" = [75]))]
    pub epochs: Option<u32>,
    /// Images per step.
    #[schemars(range(min = 1))]
    #[schemars(extend("examples" = [64, 128]))]
    pub batch: u32,
    /// The epoch whose weights become the model.
    #[serde(default)]
    #[schemars(extend("examples" = ["last", "best", { "best": { "metric": "val-accuracy" } }]))]
    pub keep: Keep,
    /// Ends the training before its last epoch.
    #[schemars(extend("examples" = [{ "patience": 5 }]))]
    pub early_stopping: Option<EarlyStopping>,
    /// The most that the norm of all gradients together may be; longer ones are shortened. The penalty is added afterwards.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[schemars(extend("examples" = [1.0]))]
    pub clip_norm: Option<f64>,
    /// The part of every label that is spread evenly over all classes, in training.
    #[serde(default)]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1))]
    #[schemars(extend("examples" = [0.1]))]
    pub label_smoothing: f64,
    /// How much the images of each class count in the training loss; by default all the same.
    #[schemars(extend("examples" = ["balanced", { "by-name": { "cat": 2 } }]))]
    pub class_weights: Option<ClassWeights>,
    /// The numbers that training computes with; validation computes with fp32.
    #[serde(default)]
    pub precision: Precision,
    /// Which states are kept, for a later training to start from.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "every": 1, "keep": 3 }]))]
    pub checkpoints: Checkpoints,
}

/// How packed images become network inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct InputRule {
    /// Side of the network's input, in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub size: u32,
    /// What is taken of a training image.
    #[serde(default)]
    pub train: TrainView,
    /// What is taken of an image when the network is evaluated.
    #[serde(default)]
    pub eval: EvalView,
    /// Factor that pixels are multiplied with after the mean is subtracted; 1 leaves them in 0–255 units.
    #[serde(default = "InputRule::unscaled")]
    pub scale: f64,
}

/// What is taken of a training image that is larger than the input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrainView {
    /// A square at a random place, another in every epoch.
    #[default]
    RandomCrop,
    /// The whole image, made smaller.
    Resize,
}

/// What is taken of an image that is larger than the input when a network is evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EvalView {
    /// The whole image, made smaller.
    #[default]
    Resize,
    /// The square in the middle.
    CenterCrop,
}

impl Train {
    /// How often every training image is seen.
    pub fn total_epochs(&self) -> u32 {
        self.epochs.or(self.schedule.own_epochs()).unwrap_or(0)
    }

    /// The learning rate of every epoch, in force from its first step to its last.
    pub fn learning_rates(&self) -> Vec<f64> {
        let (lr, epochs) = (self.optimizer.learning_rate(), self.total_epochs());
        let warm = |epoch| self.warmup.as_ref().map_or(1.0, |warmup| warmup.factor_at(epoch));
        (0..epochs).map(|epoch| self.schedule.rate(lr, epoch, epochs) * warm(epoch)).collect()
    }

    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let mut inputs = vec![InputUse::reference("train", &self.train, &[ArtifactType::Images])];
        inputs.extend(self.val.as_ref().map(|val| InputUse::reference("val", val, &[ArtifactType::Images])));
        inputs.extend(self.mean.as_ref().map(|mean| InputUse::reference("mean", mean, &[ArtifactType::Mean])));
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        vec![
            OutputDecl::new("model", ArtifactType::Model, "model.safetensors"),
            OutputDecl::new("history", ArtifactType::History, "history.json"),
            OutputDecl::new("history-table", ArtifactType::Table, "history.csv"),
            OutputDecl::new("curves", ArtifactType::Figure, "curves.svg"),
        ]
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, path: &str, message: String| {
            if !holds {
                problems.push(ParameterProblem::new(path, message));
            }
        };
        require(self.input.scale.is_finite() && self.input.scale > 0.0, "input.scale", "`scale` is a number above 0".into());
        require(self.total_epochs() >= 1, "epochs", "`epochs` says how often every image is seen; it is 1 or more".into());
        require(self.batch >= 2, "batch", "`batch` is 2 or more: the network normalises over the images of a batch".into());
        problems.extend(self.augment.check());
        problems.extend(self.check_options());
        problems.extend(self.class_weights.iter().filter_map(ClassWeights::check));
        problems.extend(self.model.check(self.input.size));
        problems.extend(self.optimizer.check());
        problems.extend(self.schedule.check(self.optimizer.learning_rate(), self.epochs));
        problems.extend(self.warmup.iter().flat_map(|warmup| warmup.check(&self.schedule)));
        problems
    }

    fn check_options(&self) -> impl Iterator<Item = ParameterProblem> {
        let validated = self.val.is_some();
        let patient = self.early_stopping.as_ref().is_none_or(|stopping| stopping.patience >= 1);
        let checks = [
            (validated || self.keep == Keep::Last, "keep", "`best` is judged by validation images: give `val`"),
            (validated || self.early_stopping.is_none(), "early-stopping", "it is judged by validation images: give `val`"),
            (patient, "early-stopping.patience", "`patience` is 1 or more"),
            (self.clip_norm.is_none_or(|norm| norm > 0.0), "clip-norm", "`clip-norm` is a number above 0"),
            ((0.0..1.0).contains(&self.label_smoothing), "label-smoothing", "`label-smoothing` is at least 0 and below 1"),
        ];
        checks.into_iter().filter(|(holds, _, _)| !holds).map(|(_, key, message)| ParameterProblem::new(key, message))
    }
}

impl InputRule {
    fn unscaled() -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(changes: Value) -> Train {
        let mut spec = json!({
            "train": "pack.train", "model": {"alexnet": {}}, "input": {"size": 227},
            "optimizer": {"sgd": {"lr": 0.1}}, "epochs": 1, "batch": 128
        });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn problems(changes: Value) -> Vec<String> {
        spec(changes).check().into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn a_sound_training_has_no_problems() {
        assert_eq!(problems(json!({})), Vec::<String>::new());
        assert_eq!(problems(json!({"input": {"size": 57}})), Vec::<String>::new());
    }

    #[test]
    fn every_value_that_cannot_work_is_named_by_its_place() {
        let found = problems(json!({
            "model": {"alexnet": {"l2": -1.0}}, "input": {"size": 56, "scale": 0.0},
            "optimizer": {"sgd": {"lr": -0.1, "momentum": 1.0, "nesterov": false}}, "epochs": 0, "batch": 1
        }));
        assert_eq!(
            found,
            [
                "input.scale: `scale` is a number above 0",
                "epochs: `epochs` says how often every image is seen; it is 1 or more",
                "batch: `batch` is 2 or more: the network normalises over the images of a batch",
                "input.size: alexnet needs images of 57 pixels or more, not 56",
                "model.alexnet.l2: `l2` is 0 or more",
                "optimizer.sgd.lr: `lr` is 0 or more",
                "optimizer.sgd.momentum: `momentum` is at least 0 and below 1",
            ]
        );
        let found = problems(json!({"optimizer": {"sgd": {"lr": 0.1, "nesterov": true}}}));
        assert_eq!(found, ["optimizer.sgd.nesterov: `nesterov` needs a `momentum` above 0"]);
        let found = problems(json!({
            "epochs": null, "optimizer": {"sgd": {"lr": 0.1}}, "schedule": {"cosine": {"final-lr": -1.0}}, "warmup": {"epochs": 0}
        }));
        assert_eq!(
            found,
            [
                "epochs: `epochs` says how often every image is seen; it is 1 or more",
                "schedule.cosine.final-lr: `final-lr` is 0 or more",
                "warmup.epochs: `epochs` is 1 or more",
            ]
        );
        let found = problems(json!({"optimizer": {"adam": {"lr": 0.1, "beta2": 1.0}}}));
        assert_eq!(found, ["optimizer.adam.beta2: `beta2` is at least 0 and below 1"]);
    }

    #[test]
    fn phases_have_epochs_of_their_own_and_a_smaller_number_cuts_them_short() {
        let phases = json!({"phases": [{"epochs": 2, "lr": 0.1}, {"epochs": 3, "lr": 0.01}]});
        let spec = spec(json!({"schedule": phases, "epochs": null}));
        assert_eq!(spec.check(), []);
        assert_eq!((spec.total_epochs(), spec.learning_rates()), (5, vec![0.1, 0.1, 0.01, 0.01, 0.01]));
        let short = Train { epochs: Some(3), ..spec };
        assert_eq!(short.check(), []);
        assert_eq!(short.learning_rates(), [0.1, 0.1, 0.01]);
        assert_eq!(
            problems(json!({"schedule": phases, "epochs": 6, "optimizer": {"sgd": {"lr": 0.2}}})),
            [
                "schedule.phases: the first phase has the `lr` 0.1, the optimizer 0.2: make them the same",
                "epochs: the phases have 5 epochs in all, not 6; leave `epochs` out to train for all of them",
            ]
        );
    }

    #[test]
    fn one_cycle_needs_epochs_to_rise_in_and_no_warm_up() {
        let one_cycle = json!({"one-cycle": {"peak-lr": 1.0}});
        assert_eq!(problems(json!({"schedule": one_cycle, "epochs": 4})), Vec::<String>::new());
        assert_eq!(
            problems(json!({"schedule": one_cycle, "epochs": 3, "warmup": {"epochs": 1}})),
            [
                "schedule.one-cycle.rise: the rate rises in more than one of the epochs",
                "warmup: `one-cycle` rises by itself; leave `warmup` out",
            ]
        );
    }

    #[test]
    fn warm_up_lowers_the_first_rates_of_any_schedule() {
        let spec = spec(json!({"warmup": {"epochs": 2, "factor": 0.5}, "epochs": 4, "schedule": {"step": {"every": 3}}}));
        let expected = [0.05, 0.075, 0.1, 0.01];
        assert!(spec.learning_rates().iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15));
    }

    #[test]
    fn what_is_judged_by_validation_images_needs_some() {
        let options = json!({
            "keep": {"best": {}}, "early-stopping": {"patience": 0}, "clip-norm": 0.0, "label-smoothing": 1.0,
            "class-weights": {"by-name": {"cat": -1.0}}
        });
        assert_eq!(
            problems(options),
            [
                "keep: `best` is judged by validation images: give `val`",
                "early-stopping: it is judged by validation images: give `val`",
                "early-stopping.patience: `patience` is 1 or more",
                "clip-norm: `clip-norm` is a number above 0",
                "label-smoothing: `label-smoothing` is at least 0 and below 1",
                "class-weights.by-name: the weight of `cat` is 0 or more, not -1",
            ]
        );
        let options = json!({"val": "pack.val", "keep": {"best": {}}, "early-stopping": {"patience": 3}, "class-weights": "balanced"});
        assert_eq!(problems(options), Vec::<String>::new());
    }
}
