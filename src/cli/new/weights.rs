//! Which network pretrained weights are of, by the names of their tensors.

use std::path::{Path, PathBuf};

use crate::artifact::ModelFile;
use crate::cli::new::{Goal, NewError};

/// Weights with the network that they are of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub file: PathBuf,
    /// As `extract-features` names it.
    pub network: &'static str,
}

/// A tensor that the network has and those below it lack.
const TELLING_TENSORS: [(&str, &str); 5] = [
    ("resnet101", "layer3.22.conv3.weight"),
    ("resnet50", "layer3.5.conv3.weight"),
    ("resnet34", "layer3.5.conv2.weight"),
    ("resnet18", "layer3.1.conv2.weight"),
    ("squeezenet1_0", "features.12.squeeze.weight"),
];

/// The weights to be used; none to train a network. Where the user can be asked for weights, they may be missing here.
pub(super) fn proposed(goal: Option<Goal>, file: Option<&Path>, is_asked: bool) -> Result<Option<Weights>, NewError> {
    match (goal, file) {
        (Some(Goal::Train) | None, None) | (Some(Goal::Train), Some(_)) => Ok(None),
        (Some(Goal::Features), None) if is_asked => Ok(None),
        (Some(Goal::Features), None) => Err(NewError::NoWeights),
        (Some(Goal::Features) | None, Some(file)) => Weights::of(file).map(Some),
    }
}

impl Weights {
    /// Reads which network a file has the weights of.
    pub(super) fn of(file: &Path) -> Result<Weights, NewError> {
        let tensors = ModelFile::read(file)?.tensors;
        let has = |name: &str| tensors.iter().any(|tensor| tensor.name == name);
        let found = TELLING_TENSORS.iter().find(|(_, tensor)| has(tensor));
        let networks = || TELLING_TENSORS.map(|(network, _)| network).join(", ");
        let (network, _) = found.ok_or_else(|| NewError::UnknownWeights { file: file.to_owned(), networks: networks() })?;
        Ok(Weights { file: file.to_owned(), network })
    }
}
