//! What can be shown of a stage's result, read from the objects of the cache.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::artifact::{Evaluation, History, ImagesFile, Mean, MeanImage, ModelOutline, OversampleEvaluation, Picture, PredictedRow};
use crate::cache::{ActionRecord, CacheError};
use crate::dossier::{Actions, AugmentedImage, FileState, Limits, Mistakes, SampleImage, StageDossier, Thumbnail, seen};
use crate::key::Digest;
use crate::stage::{ArtifactType, Augment, InputRule, StageError};
use crate::view::{ImageSource, Normalization, TrainingViews};

/// Something to show of a stage's result.
#[derive(Debug)]
pub enum Finding {
    /// The images that a stage packed.
    Packed {
        parts: Vec<Part>,
        size: (usize, usize),
        samples: Vec<SampleImage>,
    },
    Mean {
        mean: Mean,
        picture: Option<Thumbnail>,
    },
    /// Training images as the network saw them in its first epochs.
    Augmented(Vec<AugmentedImage>),
    History(History),
    Evaluation(Evaluation),
    Oversample(Box<OversampleEvaluation>),
    /// An image with the crops that are averaged over.
    Crops(AugmentedImage),
    Mistakes(Mistakes),
}

/// A packed set of images.
#[derive(Debug)]
pub struct Part {
    /// The output's name.
    pub name: String,
    /// Images of each class, in the order of the classes.
    pub classes: Vec<(String, u64)>,
}

/// Reads what there is to show of a result into the dossier; what cannot be read is named there.
pub(super) fn find(actions: &Actions<'_>, action: &ActionRecord, limits: Limits, dossier: &mut StageDossier) -> Result<(), CacheError> {
    let reader = Reader { actions, action, limits };
    let steps = [
        ("packed images", reader.packed()),
        ("mean", reader.mean()),
        ("training images", reader.augmented()),
        ("history", reader.history()),
        ("evaluation", reader.evaluation()),
        ("predictions", reader.mistakes()),
    ];
    for (what, found) in steps {
        match found {
            Ok(findings) => dossier.findings.extend(findings),
            Err(Unreadable::Cache(error)) => return Err(error),
            Err(other) => dossier.missing.push(format!("The {what} cannot be shown: {other}.")),
        }
    }
    Ok(())
}

type Found = Result<Vec<Finding>, Unreadable>;

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("the file is no longer in the cache")]
    Gone,
    #[error("the file in the cache is damaged")]
    Damaged,
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Artifact(#[from] crate::artifact::ArtifactError),
    #[error(transparent)]
    Picture(#[from] crate::artifact::PictureError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("its parameters cannot be read: {0}")]
    Parameters(#[from] serde_json::Error),
}

struct Reader<'a> {
    actions: &'a Actions<'a>,
    action: &'a ActionRecord,
    limits: Limits,
}

impl Reader<'_> {
    fn packed(&self) -> Found {
        let outputs = self.outputs(ArtifactType::Images);
        let (mut parts, mut first) = (Vec::new(), None);
        for (name, digest) in outputs {
            let images = ImagesFile::open(&self.object(digest)?)?;
            let counts = images.rows().class_counts().into_iter();
            let classes = counts.map(|(class, count)| (class.to_owned(), count)).collect();
            parts.push(Part { name: name.to_owned(), classes });
            if first.is_none() || name == "train" {
                first = Some(images);
            }
        }
        let Some(images) = first else { return Ok(Vec::new()) };
        // What is split comes in the order of use.
        parts.sort_by_key(|part| ["train", "val", "test"].iter().position(|name| *name == part.name));
        Ok(vec![Finding::Packed { parts, size: images.size(), samples: seen::samples(&images, self.limits)? }])
    }

    fn mean(&self) -> Found {
        let mut found = Vec::new();
        for (_, digest) in self.outputs(ArtifactType::Mean) {
            let mean = Mean::read(&self.object(digest)?)?;
            let picture = mean.pixels.as_ref().map(mean_picture).transpose()?;
            found.push(Finding::Mean { mean, picture });
        }
        Ok(found)
    }

    fn augmented(&self) -> Found {
        #[derive(Deserialize)]
        struct Seen {
            input: InputRule,
            #[serde(default)]
            augment: Augment,
        }
        let fingerprint = &self.action.fingerprint;
        let (Some(images), true) = (fingerprint.inputs.get("train"), fingerprint.parameters.get("input").is_some_and(Value::is_object))
        else {
            return Ok(Vec::new());
        };
        let Seen { input, augment } = serde_json::from_value(fingerprint.parameters.clone())?;
        let views = TrainingViews { input: &input, augment: &augment, seed: fingerprint.seed.unwrap_or(0) };
        let source = ImageSource::open(&self.object(*images)?, input.size, Normalization::of_training(None, 1.0))?;
        let epochs =
            fingerprint.parameters.get("epochs").and_then(Value::as_u64).map_or(1, |epochs| epochs.min(u64::from(u32::MAX)) as u32);
        let limits = Limits { epochs: self.limits.epochs.min(epochs), ..self.limits };
        Ok(vec![Finding::Augmented(seen::augmented(&source, &views, limits)?)])
    }

    fn history(&self) -> Found {
        let histories = self.outputs(ArtifactType::History).into_iter();
        histories.map(|(_, digest)| Ok(Finding::History(History::read(&self.object(digest)?)?))).collect()
    }

    fn evaluation(&self) -> Found {
        let mut found = Vec::new();
        for (_, digest) in self.outputs(ArtifactType::Evaluation) {
            let path = self.object(digest)?;
            if self.action.fingerprint.kind == "oversample-eval" {
                let evaluation = OversampleEvaluation::read(&path)?;
                let count = evaluation.count;
                found.push(Finding::Oversample(Box::new(evaluation)));
                found.extend(self.crops(count)?.map(Finding::Crops));
            } else {
                found.push(Finding::Evaluation(Evaluation::read(&path)?));
            }
        }
        Ok(found)
    }

    /// `None` where the images or the model are not inputs of the stage.
    fn crops(&self, count: u32) -> Result<Option<AugmentedImage>, Unreadable> {
        let inputs = &self.action.fingerprint.inputs;
        let (Some(images), Some(model)) = (inputs.get("images"), inputs.get("model")) else { return Ok(None) };
        let header = ModelOutline::read(&self.object(*model)?)?.header;
        let Some(input) = header.and_then(|header| header.input) else { return Ok(None) };
        let source = ImageSource::open(&self.object(*images)?, input.size, Normalization::of_training(None, 1.0))?;
        Ok(seen::cropped(&source, count)?)
    }

    fn mistakes(&self) -> Found {
        let mut found = Vec::new();
        for (_, digest) in self.outputs(ArtifactType::Predictions) {
            let rows = PredictedRow::read_all(&self.object(digest)?)?;
            let images = self.evaluated_images().map(|images| self.object(images)).transpose();
            // Without its images a mistake is still worth a line.
            let images = images.ok().flatten().and_then(|path| ImagesFile::open(&path).ok());
            found.push(Finding::Mistakes(Mistakes::among(&rows, images.as_ref(), self.limits)?));
        }
        Ok(found)
    }

    /// The images whose rows were evaluated; those that the features were made of, if it was features.
    fn evaluated_images(&self) -> Option<Digest> {
        // A command's inputs lie one deeper.
        let given = |name: &str| {
            let inputs = &self.action.fingerprint.inputs;
            inputs.get(name).or_else(|| inputs.get(&format!("inputs.{name}"))).copied()
        };
        if let Some(images) = given("images") {
            return Some(images);
        }
        let features = given("features")?;
        let made = |action: &ActionRecord| {
            let (output, _) = action.outputs.iter().find(|(_, stored)| stored.digest == features)?;
            let input = if output == "features" { "images" } else { output };
            action.fingerprint.inputs.get(input).copied()
        };
        self.actions.by_key.values().find_map(made)
    }

    /// The outputs of a type, by name.
    fn outputs(&self, artifact: ArtifactType) -> Vec<(&str, Digest)> {
        let fingerprint = &self.action.fingerprint;
        let declared = |name: &str| fingerprint.parameters.pointer(&format!("/outputs/{name}/type")).cloned();
        let is_wanted = |name: &str| match fingerprint.kind.as_str() {
            "command" => declared(name).and_then(|value| serde_json::from_value(value).ok()) == Some(artifact),
            kind => built_in(kind, name) == Some(artifact),
        };
        let outputs = self.action.outputs.iter().filter(|(name, _)| is_wanted(name));
        outputs.map(|(name, stored)| (name.as_str(), stored.digest)).collect()
    }

    fn object(&self, digest: Digest) -> Result<PathBuf, Unreadable> {
        match self.actions.state(&digest)? {
            FileState::Kept => Ok(self.actions.cache.store().path(&digest)),
            FileState::Gone => Err(Unreadable::Gone),
            FileState::Damaged => Err(Unreadable::Damaged),
        }
    }
}

/// What an output of a built-in kind holds, as far as it can be shown.
fn built_in(kind: &str, output: &str) -> Option<ArtifactType> {
    match (kind, output) {
        ("pack", _) => Some(ArtifactType::Images),
        (_, "mean") => Some(ArtifactType::Mean),
        (_, "history") => Some(ArtifactType::History),
        (_, "evaluation") => Some(ArtifactType::Evaluation),
        (_, "predictions") => Some(ArtifactType::Predictions),
        _ => None,
    }
}

fn mean_picture(image: &MeanImage) -> Result<Thumbnail, crate::artifact::PictureError> {
    let pixels = image.values.iter().map(|value| value.round() as u8).collect();
    Thumbnail::of(Picture { width: image.width, height: image.height, pixels })
}
