//! What a model says of images of which nobody knows the class.
//!
//! A prediction is an evaluation whose score nobody looks at: pictures are packed as those were that the model was trained on, and go
//! through the jobs of `evaluate`, `oversample-eval` and `extract-features`. So the same image gets the same numbers there and here, to
//! the last bit. Nothing is cached. Knows nothing of manifests and terminals.

mod chain;
mod error;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::artifact::{ClassProbabilities, ImagesFile};
use crate::cache::ActionRecord;
use crate::event::SkippedImage;
use crate::exec::execute;
use crate::key::StageId;
use crate::stage::{
    Device, Evaluate, ExtractFeatures, JobInput, OversampleEval, PackRule, Reference, RowSources, StageContext, StageJob, StageSpec,
    Unlabelled,
};

pub use chain::Given;
pub use error::PredictError;

/// A model with all that comes before it, from pictures on.
#[derive(Debug)]
pub struct Predictor {
    model: PathBuf,
    rule: PackRule,
    /// Of a classifier of features.
    features: Option<FeatureRecipe>,
    /// The results of a cache that are read.
    pub results: Vec<ActionRecord>,
}

/// How features are made of packed images.
#[derive(Debug)]
struct FeatureRecipe {
    spec: ExtractFeatures,
    /// The name of the job's input that is the network: `model` or `weights`.
    input: &'static str,
    network: PathBuf,
}

/// How to predict.
#[derive(Debug, Clone, Copy)]
pub struct PredictOptions {
    /// Average over so many crops of each image, 10 or 5, instead of one view of it.
    pub crops: Option<u32>,
    pub device: Device,
}

/// What became of some images.
#[derive(Debug, Default)]
pub struct Predicted {
    /// In the order of the probabilities; none if no image could be read.
    pub class_names: Vec<String>,
    pub images: Vec<PredictedImage>,
    pub unreadable: Vec<SkippedImage>,
}

/// What a model says of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictedImage {
    /// What the user calls it.
    pub path: String,
    /// `[C]`.
    pub probabilities: Vec<f32>,
}

impl Predicted {
    /// Adds what became of further images.
    fn append(&mut self, further: Predicted) {
        if !further.images.is_empty() {
            self.class_names = further.class_names;
        }
        self.images.extend(further.images);
        self.unreadable.extend(further.unreadable);
    }
}

/// Packed pixels that lie on disk at a time.
const CHUNK_BYTES: usize = 256 << 20;

impl Predictor {
    /// Asks about every image. `scratch` is an empty folder.
    pub fn predict(
        &self,
        images: &[Unlabelled],
        options: PredictOptions,
        scratch: &Path,
        context: &mut StageContext<'_>,
    ) -> Result<Predicted, PredictError> {
        if self.features.is_some() && options.crops.is_some() {
            return Err(PredictError::CropsOfFeatures { model: self.model.clone() });
        }
        let mut predicted = Predicted::default();
        let chunk = (CHUNK_BYTES / self.rule.row_bytes()).max(1);
        for (number, images) in images.chunks(chunk).enumerate() {
            let out = scratch.join(number.to_string());
            fs::create_dir(&out).map_err(PredictError::io(&out))?;
            predicted.append(self.predict_chunk(images, options, &out, context)?);
            fs::remove_dir_all(&out).map_err(PredictError::io(&out))?;
        }
        Ok(predicted)
    }

    fn predict_chunk(
        &self,
        images: &[Unlabelled],
        options: PredictOptions,
        out: &Path,
        context: &mut StageContext<'_>,
    ) -> Result<Predicted, PredictError> {
        let mut predicted = Predicted::default();
        let packed = out.join("images.h5");
        let reasons = Unlabelled::pack(images, self.rule, &packed, context)?;
        let rows = match reasons.iter().all(Option::is_some) {
            true => Vec::new(),
            false => {
                let ClassProbabilities { class_names, rows } = self.ask(packed, options, out, context)?;
                predicted.class_names = class_names;
                rows
            }
        };
        let mut rows = rows.into_iter();
        for (image, reason) in images.iter().zip(reasons) {
            let path = image.name.clone();
            match (rows.next(), reason) {
                (_, Some(reason)) => predicted.unreadable.push(SkippedImage { path, reason }),
                (Some(probabilities), None) => predicted.images.push(PredictedImage { path, probabilities }),
                (None, None) => return Err(PredictError::Silent { path }),
            }
        }
        Ok(predicted)
    }

    /// The probabilities of packed images.
    fn ask(
        &self,
        packed: PathBuf,
        options: PredictOptions,
        out: &Path,
        context: &mut StageContext<'_>,
    ) -> Result<ClassProbabilities, PredictError> {
        let model = reference()?;
        let (spec, name, rows) = match (&self.features, options.crops) {
            (Some(recipe), _) => {
                let features = recipe.extract(packed, options.device, out, context)?;
                (StageSpec::Evaluate(Evaluate::of_features(reference()?, model)), "features", features)
            }
            (None, None) => (StageSpec::Evaluate(Evaluate::of_images(reference()?, model)), "images", packed),
            (None, Some(crops)) => (StageSpec::OversampleEval(OversampleEval::of(reference()?, model, crops)), "images", packed),
        };
        let job = job(spec, [(name, rows), ("model", self.model.clone())], options.device, out)?;
        execute(&job, context)?;
        Ok(ClassProbabilities::read(&job.output("predictions")?)?)
    }
}

impl FeatureRecipe {
    /// Writes the features of packed images; gives their file.
    fn extract(&self, packed: PathBuf, device: Device, out: &Path, context: &mut StageContext<'_>) -> Result<PathBuf, PredictError> {
        let rows = RowSources::of_packed(&ImagesFile::open(&packed)?);
        let spec = StageSpec::ExtractFeatures(self.spec.clone());
        let mut job = job(spec, [("images", packed), (self.input, self.network.clone())], device, out)?;
        job.packed_rows = BTreeMap::from([("images".to_owned(), rows)]);
        execute(&job, context)?;
        Ok(job.output("features")?)
    }
}

fn job(spec: StageSpec, inputs: [(&str, PathBuf); 2], device: Device, out: &Path) -> Result<StageJob, PredictError> {
    Ok(StageJob {
        stage: stage()?,
        spec,
        inputs: inputs.map(|(name, path)| (name.to_owned(), JobInput::File(path))).into(),
        out: out.to_owned(),
        seed: 0,
        device,
        threads: None,
        resume: None,
        packed_rows: BTreeMap::new(),
        earlier: Vec::new(),
    })
}

/// Parameters name their inputs; a job has the files.
fn reference() -> Result<Reference, PredictError> {
    Ok(Reference::Output { stage: stage()?, output: None })
}

fn stage() -> Result<StageId, PredictError> {
    "predict".parse().map_err(|_| PredictError::Stage(crate::stage::StageError::Invalid("`predict` is no stage".to_owned())))
}
