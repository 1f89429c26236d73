//! A run in one `.zip`, to be handed over: its manifest, its records, its results to read, and as many objects as are wanted; and the way
//! back into a cache elsewhere.
//!
//! Every file but the index is named in the index with its digest, so that damage anywhere is found before anything is taken. The same
//! run gives the same bytes. Of the machine nothing is told but what a run record says of its processor and system: see `scrub`. Knows
//! nothing of how runs are executed or of what a stage does.

mod contents;
mod error;
mod import;
mod opened;
mod ro_crate;
mod scrub;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{ActionKey, Digest, StagePath};

pub use contents::Bundle;
pub use error::BundleError;
pub use import::{Imported, Taken};
pub use opened::OpenedBundle;
pub use scrub::Scrub;

/// The version of the layout of bundles.
const FORMAT: u32 = 1;

const INDEX: &str = "bundle.json";
const MANIFEST: &str = "manifest.yaml";
const RUN: &str = "run.json";
const CRATE: &str = "ro-crate-metadata.json";
const README: &str = "README.txt";
/// The report as a page; made and added by whoever can.
pub const REPORT: &str = "report.html";

/// Which objects go into a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectChoice {
    All,
    /// All but packed images and features.
    Models,
    None,
}

/// `bundle.json`: what a bundle holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Index {
    format: u32,
    /// packtrain's version.
    tool: String,
    run: String,
    pipeline: String,
    objects: ObjectChoice,
    /// Every other file by its path.
    files: BTreeMap<String, FileMark>,
}

/// What a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct FileMark {
    digest: Digest,
    size: u64,
}

/// A stage's result as a bundle has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuppliedStage {
    #[serde(flatten)]
    pub stage: StagePath,
    pub kind: String,
    /// Null for a stage that gave no result.
    pub key: Option<ActionKey>,
    /// Whether the objects of its outputs are in the bundle, all of them.
    pub supplied: bool,
}

fn action_path(key: &ActionKey) -> String {
    format!("actions/{key}.json")
}

fn object_path(digest: &Digest) -> String {
    let name = digest.to_string();
    let (folder, rest) = name.split_at(2);
    format!("objects/{folder}/{rest}")
}
