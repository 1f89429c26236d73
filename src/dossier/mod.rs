//! What a run made, gathered into plain data: its record, and of every stage what is still in the cache of the very result that
//! the run used. Never from `output/`, which later runs overwrite; what is gone is said to be gone.
//!
//! Knows nothing of how it is shown.

mod finding;
mod mistakes;
mod seen;
mod thumbnail;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use finding::{Finding, Part};
pub use mistakes::{Mistake, Mistakes};
pub use seen::{AugmentedImage, SampleImage};
pub use thumbnail::Thumbnail;

use crate::cache::{ActionRecord, Cache, CacheError, ObjectState};
use crate::compare::{self, Row};
use crate::key::{ActionKey, Digest, VariantName};
use crate::record::{RunRecord, StageRecord, VariantParams};

/// A run with what it made.
#[derive(Debug)]
pub struct Dossier {
    pub record: RunRecord,
    /// One for every variant; a single one for a run without variants.
    pub chapters: Vec<Chapter>,
}

/// What a variant made.
#[derive(Debug)]
pub struct Chapter {
    /// `None` for a run without variants.
    pub variant: Option<VariantParams>,
    pub stages: Vec<StageDossier>,
    /// Beside those of other chapters, what is to be compared.
    pub row: Row,
}

/// A stage of a run with what is kept of its result.
#[derive(Debug)]
pub struct StageDossier {
    pub record: StageRecord,
    /// `None` if it gave no result, or none that is in the cache.
    pub result: Option<StageRemains>,
    pub findings: Vec<Finding>,
    /// Why something is not among the findings, for people.
    pub missing: Vec<String>,
    /// An earlier variant shows the findings of this very result.
    pub shown_before: Option<VariantName>,
}

/// What the cache knows of a result.
#[derive(Debug)]
pub struct StageRemains {
    /// RFC 3339.
    pub finished: String,
    /// packtrain's version then.
    pub tool: String,
    /// As in the key.
    pub parameters: Value,
    pub seed: Option<u64>,
    pub inputs: BTreeMap<String, Digest>,
    pub files: Vec<RemainingFile>,
}

/// A file of a result.
#[derive(Debug)]
pub struct RemainingFile {
    /// The output's name.
    pub output: String,
    pub file: String,
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    pub state: FileState,
}

/// Whether a file of a result is still in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    Kept,
    Gone,
    Damaged,
}

/// How much is gathered, so that a dossier of many variants stays small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Pictures in each list of mistakes.
    mistakes: usize,
    /// Images of a packed set, and of a training.
    samples: usize,
    /// Epochs of which augmented images are shown.
    epochs: u32,
}

/// The actions of a chapter, to follow a file back to where it was made.
struct Actions<'a> {
    cache: &'a Cache,
    by_key: BTreeMap<ActionKey, ActionRecord>,
}

/// Gathers what some runs made.
pub fn gather(records: Vec<RunRecord>, cache: &Cache) -> Result<Vec<Dossier>, CacheError> {
    let variants: usize = records.iter().map(|record| record.provenance.variants.len().max(1)).sum();
    let limits = Limits::for_variants(variants);
    let mut rows: Vec<Row> = records.iter().flat_map(compare::rows).collect();
    compare::add_stage_params(&mut rows, cache)?;
    let mut rows = rows.into_iter();
    records.into_iter().map(|record| Dossier::of(record, &mut rows, cache, limits)).collect()
}

impl Dossier {
    /// `rows` has the next row of each chapter.
    fn of(record: RunRecord, rows: &mut impl Iterator<Item = Row>, cache: &Cache, limits: Limits) -> Result<Dossier, CacheError> {
        let keys: BTreeSet<ActionKey> = record.stages.iter().filter_map(|stage| stage.key).collect();
        let mut actions = Actions { cache, by_key: BTreeMap::new() };
        for key in keys {
            actions.by_key.extend(cache.action(&key)?.map(|action| (key, action)));
        }
        let variants: Vec<Option<VariantParams>> = match &record.provenance.variants[..] {
            [] => vec![None],
            variants => variants.iter().cloned().map(Some).collect(),
        };
        let mut shown = BTreeMap::new();
        let mut chapters = Vec::new();
        for (variant, row) in variants.into_iter().zip(rows) {
            let name = variant.as_ref().map(|variant| &variant.variant);
            let stages = record.stages.iter().filter(|stage| stage.stage.variant.as_ref() == name);
            let stages = stages.map(|stage| actions.stage(stage, limits, &mut shown)).collect::<Result<_, _>>()?;
            chapters.push(Chapter { variant, stages, row });
        }
        Ok(Dossier { record, chapters })
    }
}

impl Dossier {
    /// Takes over what has become known of the run since its results were gathered; what stages gave meanwhile is not looked for.
    pub fn update(&mut self, record: &RunRecord) {
        self.record.clone_from(record);
        for stage in self.chapters.iter_mut().flat_map(|chapter| &mut chapter.stages) {
            if let Some(own) = record.stages.iter().find(|own| own.stage == stage.record.stage) {
                stage.record.clone_from(own);
            }
        }
    }
}

impl Limits {
    fn for_variants(variants: usize) -> Limits {
        match variants {
            0..=2 => Limits { mistakes: 12, samples: 12, epochs: 5 },
            3..=6 => Limits { mistakes: 6, samples: 8, epochs: 4 },
            _ => Limits { mistakes: 3, samples: 6, epochs: 3 },
        }
    }
}

impl Actions<'_> {
    fn stage(
        &self,
        record: &StageRecord,
        limits: Limits,
        shown: &mut BTreeMap<ActionKey, VariantName>,
    ) -> Result<StageDossier, CacheError> {
        let record = record.clone();
        let mut dossier = StageDossier { record, result: None, findings: Vec::new(), missing: Vec::new(), shown_before: None };
        let Some(key) = dossier.record.key else { return Ok(dossier) };
        let Some(action) = self.by_key.get(&key) else {
            dossier.missing.push("Its result is no longer in the cache, or never was.".to_owned());
            return Ok(dossier);
        };
        dossier.result = Some(self.remains(action)?);
        if let Some(variant) = shown.get(&key) {
            dossier.shown_before = Some(variant.clone());
            return Ok(dossier);
        }
        shown.extend(dossier.record.stage.variant.clone().map(|variant| (key, variant)));
        finding::find(self, action, limits, &mut dossier)?;
        Ok(dossier)
    }

    fn remains(&self, action: &ActionRecord) -> Result<StageRemains, CacheError> {
        let mut files = Vec::new();
        for (output, stored) in &action.outputs {
            let state = self.state(&stored.digest)?;
            let (output, file) = (output.clone(), stored.file.clone());
            files.push(RemainingFile { output, file, digest: stored.digest, size: stored.size, state });
        }
        Ok(StageRemains {
            finished: action.provenance.finished.clone(),
            tool: action.provenance.tool.clone(),
            parameters: action.fingerprint.parameters.clone(),
            seed: action.fingerprint.seed,
            inputs: action.fingerprint.inputs.clone(),
            files,
        })
    }

    fn state(&self, digest: &Digest) -> Result<FileState, CacheError> {
        Ok(match self.cache.store().state(digest, self.cache.memo())? {
            ObjectState::Sound => FileState::Kept,
            ObjectState::Missing => FileState::Gone,
            ObjectState::Damaged => FileState::Damaged,
        })
    }
}
