//! From a model back to pictures: by which rule images are packed for it and, if it classifies features, which network makes them.
//!
//! A network's file says all of that itself. Of a classifier the run knows it: features and packed images are followed by their digests to
//! the stages that made them.

use std::path::{Path, PathBuf};

use crate::artifact::{Fit, ModelOutline};
use crate::cache::{ActionRecord, Cache};
use crate::key::{Digest, StagePath};
use crate::predict::{FeatureRecipe, PredictError, Predictor, reference};
use crate::record::{RunRecord, StageRecord};
use crate::stage::{ExtractFeatures, PackRule};

/// What the user says beside the model; it counts more than what the model says.
pub struct Given<'a> {
    /// Side of packed images.
    pub size: Option<u32>,
    pub fit: Option<Fit>,
    /// Where the weights of a stage `extract-features` lie now.
    pub weights: &'a dyn Fn(&StagePath) -> Option<PathBuf>,
}

/// The stages of one variant of a run with their results.
struct Results<'a> {
    run: &'a RunRecord,
    cache: &'a Cache,
    of: &'a StageRecord,
}

impl Predictor {
    /// Of a model's file.
    pub fn of_file(path: &Path, given: &Given<'_>) -> Result<Predictor, PredictError> {
        let model = path.to_owned();
        let header = ModelOutline::read(path)?.header.ok_or_else(|| PredictError::NotOurs { model: model.clone() })?;
        let input = header.input.ok_or_else(|| PredictError::FeaturesOfFile { model: model.clone() })?;
        let rule = given.rule(input.packed).ok_or_else(|| PredictError::NoRule { model: model.clone() })?;
        Ok(Predictor { model, rule, features: None, results: Vec::new() })
    }

    /// Of the model that a stage of a run gave.
    pub fn of_result(stage: &StageRecord, run: &RunRecord, cache: &Cache, given: &Given<'_>) -> Result<Predictor, PredictError> {
        let results = Results { run, cache, of: stage };
        let trained = results.action(stage)?.ok_or_else(|| PredictError::NoModel { stage: stage.stage.clone() })?;
        let file = trained.outputs.values().find(|output| output.file.ends_with(".safetensors"));
        let file = file.ok_or_else(|| PredictError::NoModel { stage: stage.stage.clone() })?;
        let model = results.object(&file.digest)?;
        match Predictor::of_file(&model, given) {
            Err(PredictError::FeaturesOfFile { .. }) => results.classifier(model, trained, given),
            found => Ok(Predictor { results: vec![trained], ..found? }),
        }
    }
}

impl Given<'_> {
    fn rule(&self, known: Option<PackRule>) -> Option<PackRule> {
        let size = self.size.or(known.map(|rule| rule.size))?;
        let (fit, decode) = known.map(|rule| (rule.fit, rule.decode)).unwrap_or_default();
        Some(PackRule { size, fit: self.fit.unwrap_or(fit), decode })
    }
}

impl Results<'_> {
    fn classifier(&self, model: PathBuf, trained: ActionRecord, given: &Given<'_>) -> Result<Predictor, PredictError> {
        let unknown = |reason| PredictError::UnknownFeatures { stage: self.of.stage.clone(), reason };
        let features = trained.fingerprint.inputs.get("train").ok_or_else(|| unknown("it was not trained on features of a stage"))?;
        let (extracting, extracted, output) = self.maker(features)?.ok_or_else(|| unknown("they come from a file"))?;
        if extracting.kind != "extract-features" {
            return Err(unknown("another kind of stage did"));
        }
        let parameters = extracted.fingerprint.parameters.clone();
        let spec: ExtractFeatures = serde_json::from_value(parameters).map_err(|source| parameters_of(extracting, source))?;
        // The set of images `images` becomes the output `features`, each other one that of its own name.
        let input = if output == "features" { "images" } else { output.as_str() };
        let rule = extracted.fingerprint.inputs.get(input).map(|images| self.rule(images)).transpose()?.flatten();
        let rule = given.rule(rule).ok_or_else(|| PredictError::NoRule { model: model.clone() })?;
        let recipe = self.recipe(spec, extracting, &extracted, given)?;
        Ok(Predictor { model, rule, features: Some(recipe), results: vec![trained, extracted] })
    }

    /// The network of a stage `extract-features`, with its parameters made into those of a single set of images.
    fn recipe(
        &self,
        spec: ExtractFeatures,
        stage: &StageRecord,
        action: &ActionRecord,
        given: &Given<'_>,
    ) -> Result<FeatureRecipe, PredictError> {
        let place = &stage.stage;
        let images = ExtractFeatures { images: Some(reference()?), train: None, val: None, test: None, ..spec };
        if let Some(network) = action.fingerprint.inputs.get("model") {
            let spec = ExtractFeatures { model: Some(reference()?), ..images };
            return Ok(FeatureRecipe { spec, input: "model", network: self.object(network)? });
        }
        let spec = ExtractFeatures { weights: Some(reference()?), ..images };
        let expected = action.fingerprint.inputs.get("weights");
        let kept = expected.map(|digest| self.cache.store().path(digest)).filter(|path| path.is_file());
        if let Some(network) = kept {
            return Ok(FeatureRecipe { spec, input: "weights", network });
        }
        let network = (given.weights)(place).ok_or_else(|| PredictError::NoWeights { stage: place.clone() })?;
        let (digest, _) = self.cache.memo().digest(&network).map_err(PredictError::io(&network))?;
        if expected != Some(&digest) {
            return Err(PredictError::OtherWeights { stage: place.clone(), path: network });
        }
        Ok(FeatureRecipe { spec, input: "weights", network })
    }

    /// How images were packed, if a stage of the run packed them.
    fn rule(&self, images: &Digest) -> Result<Option<PackRule>, PredictError> {
        let Some((packing, packed, _)) = self.maker(images)?.filter(|(stage, ..)| stage.kind == "pack") else { return Ok(None) };
        // Of the parameters only its own; places are not among them.
        let rule = serde_json::from_value(packed.fingerprint.parameters).map_err(|source| parameters_of(packing, source))?;
        Ok(Some(rule))
    }

    /// The stage of the variant that gave a file, its result, and the output's name.
    fn maker(&self, digest: &Digest) -> Result<Option<(&StageRecord, ActionRecord, String)>, PredictError> {
        for stage in self.run.stages.iter().filter(|stage| stage.stage.variant == self.of.stage.variant) {
            let Some(action) = self.action(stage)? else { continue };
            let output = action.outputs.iter().find(|(_, output)| output.digest == *digest).map(|(name, _)| name.clone());
            if let Some(output) = output {
                return Ok(Some((stage, action, output)));
            }
        }
        Ok(None)
    }

    /// `None` for a stage without a result; an error if the cache has not got it any more.
    fn action(&self, stage: &StageRecord) -> Result<Option<ActionRecord>, PredictError> {
        let Some(key) = stage.key else { return Ok(None) };
        self.cache.action(&key)?.map(Some).ok_or_else(|| PredictError::Gone { stage: stage.stage.clone() })
    }

    fn object(&self, digest: &Digest) -> Result<PathBuf, PredictError> {
        let path = self.cache.store().path(digest);
        if path.is_file() { Ok(path) } else { Err(PredictError::Gone { stage: self.of.stage.clone() }) }
    }
}

fn parameters_of(stage: &StageRecord, source: serde_json::Error) -> PredictError {
    PredictError::Parameters { stage: stage.stage.clone(), source }
}
