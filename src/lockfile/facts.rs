//! What a lock says of a stage, one fact a line.

use std::fmt;

use crate::cache::ActionRecord;
use crate::manifest::{PipelineInputSource, PipelineStage};
use crate::plan::{GatheredInputs, PlanError, fingerprint};

/// The name of a fact, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// The kind and its version.
    Kind,
    /// The content of an input from outside.
    Input(String),
    /// The action's key: beside the kind and the inputs the parameters and the seed are in it.
    Key,
    /// Where a network ran.
    Device,
    /// The content of an output.
    Output(String),
}

impl Fact {
    /// Reads a fact and leaves its value.
    pub(super) fn parse(text: &str) -> Option<(Fact, &str)> {
        let (word, rest) = text.split_once(' ')?;
        let named = || rest.split_once(' ').map(|(name, value)| (name.to_owned(), value));
        match word {
            "kind" => Some((Fact::Kind, rest)),
            "key" => Some((Fact::Key, rest)),
            "device" => Some((Fact::Device, rest)),
            "input" => named().map(|(name, value)| (Fact::Input(name), value)),
            "output" => named().map(|(name, value)| (Fact::Output(name), value)),
            _ => None,
        }
    }

    /// Whether it is known before the stage runs.
    pub(super) fn is_known_before(&self) -> bool {
        matches!(self, Fact::Kind | Fact::Input(_) | Fact::Key)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Kind => f.write_str("kind"),
            Fact::Key => f.write_str("key"),
            Fact::Device => f.write_str("device"),
            Fact::Input(name) => write!(f, "input {name}"),
            Fact::Output(name) => write!(f, "output {name}"),
        }
    }
}

/// What is known before a stage runs.
pub(super) fn before(stage: &PipelineStage, inputs: &GatheredInputs) -> Result<Vec<(Fact, String)>, PlanError> {
    let fingerprint = fingerprint(stage, inputs)?;
    let from_outside = stage.inputs.iter().filter(|input| !matches!(input.source, PipelineInputSource::Output { .. }));
    let input = |name: &str| {
        let digest = inputs.digests.get(name)?;
        Some((Fact::Input(name.to_owned()), format!("{digest} {}", amount(inputs, name))))
    };
    let mut facts: Vec<_> = from_outside.filter_map(|input_of| input(&input_of.name)).collect();
    facts.push((Fact::Kind, format!("{} {}", fingerprint.kind, fingerprint.version)));
    facts.push((Fact::Key, fingerprint.key().to_string()));
    Ok(facts)
}

/// What is known of a result.
pub(super) fn after(record: &ActionRecord) -> Vec<(Fact, String)> {
    let output =
        |(name, file): (&String, &crate::cache::StoredFile)| (Fact::Output(name.clone()), format!("{} {} bytes", file.digest, file.size));
    let device = record.result.device.iter().map(|device| (Fact::Device, device.clone()));
    device.chain(record.outputs.iter().map(output)).collect()
}

/// `3000 files` of a folder or an archive, `1234 bytes` of a file.
fn amount(inputs: &GatheredInputs, name: &str) -> String {
    if let Some(listing) = inputs.listings.get(name) {
        return format!("{} files", listing.files().len());
    }
    inputs.file(name).map_or_else(String::new, |path| format!("{} bytes", inputs.size(path).unwrap_or_default()))
}
