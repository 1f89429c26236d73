//! Why nothing could be predicted.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::artifact::ArtifactError;
use crate::cache::CacheError;
use crate::exec::ExecError;
use crate::key::StagePath;
use crate::stage::StageError;

/// A model cannot be asked, or did not answer.
#[derive(Debug, Error)]
pub enum PredictError {
    #[error("{stage} gave no model in that run")]
    NoModel { stage: StagePath },
    #[error("the result of {stage} in that run is no longer in the cache")]
    Gone { stage: StagePath },
    #[error("{model} has weights, but does not say of which network, with which classes and input; packtrain did not train it", model = model.display())]
    NotOurs { model: PathBuf },
    #[error("{model} does not say how the images that it was trained on were packed; `--size` and `--fit` tell it", model = model.display())]
    NoRule { model: PathBuf },
    #[error(
        "{model} classifies features, and does not say of which network; name the stage that trained it instead of its file",
        model = model.display()
    )]
    FeaturesOfFile { model: PathBuf },
    #[error("{stage} classifies features that no stage `extract-features` of that run made: {reason}")]
    UnknownFeatures { stage: StagePath, reason: &'static str },
    #[error("{stage} needs the weights that it was run with; `--weights FILE` says where they are")]
    NoWeights { stage: StagePath },
    #[error("{path} has other weights than {stage} was run with", path = path.display())]
    OtherWeights { stage: StagePath, path: PathBuf },
    #[error("{model} classifies features of whole images; crops are for networks", model = model.display())]
    CropsOfFeatures { model: PathBuf },
    #[error("the model said nothing of {path}")]
    Silent { path: String },
    #[error("the parameters of {stage} cannot be read: {source}")]
    Parameters { stage: StagePath, source: serde_json::Error },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl PredictError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> PredictError {
        move |source| PredictError::Io { path: path.to_owned(), source }
    }
}
