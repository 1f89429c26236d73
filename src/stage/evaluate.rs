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
    /// A network on packed images, as it is by default.
    pub fn of_images(images: Reference, model: Reference) -> Evaluate {
        Evaluate { images: Some(images), features: None, model, mean: None, batch: Evaluate::default_batch() }
    }

    /// A classifier on features.
    pub fn of_features(features: Reference, model: Reference) -> Evaluate {
        Evaluate { images: None, features: Some(features), model, mean: None, batch: Evaluate::default_batch() }
    }

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
            OutputDecl::new("evaluation", ArtifactType::Evaluation, "evaluation.json"),
            OutputDecl::new("predictions", ArtifactType::Predictions, "predictions.csv"),
            OutputDecl::new("confusion", ArtifactType::Figure, "confusion.svg"),
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
    evaluation.write_confusion(&job.output("confusion")?)?;
    context.emit(StageEvent::Metric { name: "rank-1".to_owned(), value: evaluation.rank1 });
    context.emit(StageEvent::Metric { name: "rank-5".to_owned(), value: evaluation.rank5 });
    Ok(StageOutput::default())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::artifact::{Evaluation, FeaturesWriter, ModelFile, ModelHeader, RowLabels};
    use crate::stage::{ClassifierModel, Device, JobInput, LogisticRegression, StageSpec, TrainLogistic, run};

    fn reference(name: &str) -> Reference {
        Reference::Output { stage: name.parse().unwrap(), output: None }
    }

    /// Rows of `[cats, dogs]` around (1, 2) and (2, 1), as many of each, in turns; `names` says which label is which.
    fn write_features(path: &Path, names: [&str; 2], dimensions: usize) {
        let cat = names.iter().position(|name| *name == "cat").unwrap() as i64;
        let row = |i: usize| if i.is_multiple_of(2) { [1.0, 2.0 + i as f32 / 40.0] } else { [2.0 + i as f32 / 40.0, 1.0] };
        let rows = RowLabels {
            labels: (0..40).map(|i| if i % 2 == 0 { cat } else { 1 - cat }).collect(),
            label_names: names.map(str::to_owned).to_vec(),
            paths: (0..40).map(|i| format!("{i}.jpg")).collect(),
        };
        let values: Vec<f32> = (0..40).flat_map(|i| [row(i).as_slice(), &[0.0; 8][..dimensions - 2]].concat()).collect();
        let mut writer = FeaturesWriter::create(path, dimensions, &rows).unwrap();
        writer.append(&values).unwrap();
        writer.finish().unwrap();
    }

    fn run_stage(spec: StageSpec, inputs: &[(&str, PathBuf)], out: &Path) -> (Result<StageOutput, StageError>, Vec<StageEvent>) {
        let inputs = inputs.iter().map(|(name, path)| ((*name).to_owned(), JobInput::File(path.clone()))).collect();
        let job = StageJob {
            stage: "stage".parse().unwrap(),
            spec,
            inputs,
            out: out.to_owned(),
            seed: 1,
            device: Device::Cpu,
            threads: None,
            resume: None,
            packed_rows: Default::default(),
            earlier: Vec::new(),
        };
        let (mut events, cancelled) = (Vec::new(), AtomicBool::new(false));
        let result = run(&job, &mut StageContext { emit: &mut |event| events.push(event), cancelled: &cancelled, deadline: None });
        (result, events)
    }

    fn train(features: PathBuf, out: &Path) -> (Result<StageOutput, StageError>, Vec<StageEvent>) {
        let model = ClassifierModel::LogisticRegression(LogisticRegression::default());
        run_stage(StageSpec::TrainLogistic(TrainLogistic { train: reference("pack"), model }), &[("train", features)], out)
    }

    fn evaluate(features: PathBuf, model: PathBuf, out: &Path) -> (Result<StageOutput, StageError>, Vec<StageEvent>) {
        let spec = Evaluate { images: None, features: Some(reference("pack")), model: reference("fit"), mean: None, batch: 1 };
        run_stage(StageSpec::Evaluate(spec), &[("features", features), ("model", model)], out)
    }

    #[test]
    fn a_classifier_is_trained_and_evaluated_on_files_that_number_the_classes_differently() {
        let folder = tempfile::tempdir().unwrap();
        let (train_file, test_file) = (folder.path().join("train.h5"), folder.path().join("test.h5"));
        write_features(&train_file, ["cat", "dog"], 2);
        write_features(&test_file, ["dog", "cat"], 2);
        train(train_file, folder.path()).0.unwrap();
        let (result, events) = evaluate(test_file, folder.path().join("model.safetensors"), folder.path());
        result.unwrap();

        let metric = |name: &str| StageEvent::Metric { name: name.to_owned(), value: 1.0 };
        assert_eq!(events, [metric("rank-1"), metric("rank-5")]);
        let evaluation = Evaluation::read(&folder.path().join("evaluation.json")).unwrap();
        assert_eq!((evaluation.rows, evaluation.rank1), (40, 1.0));
        let csv = std::fs::read_to_string(folder.path().join("predictions.csv")).unwrap();
        assert!(csv.starts_with("path,label,predicted,probability,correct,p(cat),p(dog)\n0.jpg,cat,cat,"), "{csv}");
    }

    #[test]
    fn training_again_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let features = folder.path().join("train.h5");
        write_features(&features, ["cat", "dog"], 5);
        let model = |name: &str| {
            let out = folder.path().join(name);
            std::fs::create_dir(&out).unwrap();
            train(features.clone(), &out).0.unwrap();
            std::fs::read(out.join("model.safetensors")).unwrap()
        };
        assert_eq!(model("once"), model("again"));
    }

    #[test]
    fn features_of_another_width_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (train_file, test_file) = (folder.path().join("train.h5"), folder.path().join("test.h5"));
        write_features(&train_file, ["cat", "dog"], 2);
        write_features(&test_file, ["cat", "dog"], 3);
        train(train_file, folder.path()).0.unwrap();
        let model = folder.path().join("model.safetensors");
        let error = evaluate(test_file, model, folder.path()).0.unwrap_err().to_string();
        assert!(error.ends_with("the model was trained on 2 features a row, but these rows have 3"), "{error}");
    }

    #[test]
    fn a_network_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (features, model) = (folder.path().join("test.h5"), folder.path().join("model.safetensors"));
        write_features(&features, ["cat", "dog"], 2);
        let architecture = serde_json::json!({"alexnet": {"l2": 2e-4}});
        ModelFile::write(&model, &ModelHeader { architecture, class_names: Vec::new(), input: None }, &[]).unwrap();
        let error = evaluate(features, model, folder.path()).0.unwrap_err().to_string();
        assert!(error.ends_with("is a network (alexnet), which evaluates images, not features"), "{error}");
    }
}
