//! Action records: what a stage once gave for a key. And the heads: which key each stage of a pipeline last had.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, CacheError, ObjectState, json};
use crate::event::{Metric, StageOutput};
use crate::key::{ActionKey, Digest, Fingerprint, StageId, TrajectoryKey};

/// The version of the record's layout; a record of another version is a miss.
const FORMAT: u32 = 1;

/// The result of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    pub format: u32,
    pub fingerprint: Fingerprint,
    /// By the output's name.
    pub outputs: BTreeMap<String, StoredFile>,
    /// In the order in which the stage reported them.
    pub metrics: Vec<Metric>,
    pub result: StageOutput,
    /// The listings, in the store, of the folders of images among the inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listings: Vec<Digest>,
    /// By output, the object that says of which image each row was made, for kinds that can tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub row_sources: BTreeMap<String, Digest>,
    /// Of a training, the states on its way, whether or not they were kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<TrajectoryKey>,
    pub provenance: Provenance,
    /// What later reruns gave, the latest last; of each device one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// What a rerun gave, compared with the result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    pub verdict: Verdict,
    /// The greatest share by which numbers were allowed to differ.
    pub tolerance: f64,
    /// When the rerun ended, RFC 3339.
    pub finished: String,
    /// packtrain's version.
    pub tool: String,
    /// The device of the rerun, where a network ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// How a rerun compares with the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    BitExact,
    WithinTolerance,
    Different,
}

/// A file of the store under the name that users see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    pub file: String,
    pub digest: Digest,
    pub size: u64,
}

/// Where a result comes from. Never part of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// packtrain's version.
    pub tool: String,
    pub pipeline: String,
    pub stage: StageId,
    /// When the stage ended, RFC 3339.
    pub finished: String,
    pub seconds: f64,
    /// What it had to do in that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// How much work a stage was, to tell how long another one of its kind will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effort {
    /// The size of its data: images of folders, copied or not, bytes of packed images and features.
    pub amount: u64,
    /// Epochs trained; 0 of a stage that does not train epoch by epoch.
    pub epochs: u32,
}

impl Verdict {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::BitExact => "bit-exact",
            Verdict::WithinTolerance => "within tolerance",
            Verdict::Different => "different",
        }
    }
}

impl ActionRecord {
    /// A record of the present format.
    pub fn new(fingerprint: Fingerprint, outputs: BTreeMap<String, StoredFile>, provenance: Provenance) -> ActionRecord {
        ActionRecord {
            format: FORMAT,
            fingerprint,
            outputs,
            metrics: Vec::new(),
            result: StageOutput::default(),
            listings: Vec::new(),
            row_sources: BTreeMap::new(),
            states: Vec::new(),
            provenance,
            checks: Vec::new(),
        }
    }

    /// The record in a text, if it is one of the present format.
    pub fn parse(text: &[u8]) -> Option<ActionRecord> {
        serde_json::from_slice(text).ok().filter(|record: &ActionRecord| record.format == FORMAT)
    }

    /// The record of a key in a text with a seal, if that is sound and of the present format.
    pub fn from_sealed(key: &ActionKey, text: &[u8]) -> Option<ActionRecord> {
        let record: ActionRecord = json::unsealed(&json::file_name(key), text)?;
        Some(record).filter(|record| record.format == FORMAT && record.fingerprint.key() == *key)
    }

    /// The text of the record with its seal.
    pub fn to_sealed(&self) -> serde_json::Result<Vec<u8>> {
        json::sealed(&json::file_name(self.fingerprint.key()), self)
    }

    /// Every object that it names, with the size of those whose size it says.
    pub fn objects(&self) -> impl Iterator<Item = (Digest, Option<u64>)> {
        let outputs = self.outputs.values().map(|file| (file.digest, Some(file.size)));
        let others = self.listings.iter().chain(self.row_sources.values()).map(|digest| (*digest, None));
        outputs.chain(others)
    }

    /// The record in a file, if there is one of the present format.
    pub(super) fn read(path: &Path) -> Result<Option<ActionRecord>, CacheError> {
        let record: Option<ActionRecord> = json::read(path)?;
        Ok(record.filter(|record| record.format == FORMAT))
    }
}

impl Cache {
    /// The record for a key, if there is one that can be read.
    pub fn action(&self, key: &ActionKey) -> Result<Option<ActionRecord>, CacheError> {
        action_in(&self.root, key)
    }

    /// The same for a key that was expected when the cache was opened: its record may have been read ahead.
    pub fn expected_action(&self, key: &ActionKey) -> Result<Option<ActionRecord>, CacheError> {
        self.ahead.take(&self.root, key).map_or_else(|| self.action(key), |record| Ok(Some(record)))
    }

    /// Every record that can be read, in no order.
    pub fn actions(&self) -> Result<Vec<ActionRecord>, CacheError> {
        let folder = self.root.join("actions");
        let mut records = Vec::new();
        for entry in fs::read_dir(&folder).map_err(CacheError::io(&folder))? {
            let path = entry.map_err(CacheError::io(&folder))?.path();
            let key = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            let record = if key.is_some() { ActionRecord::read(&path)? } else { None };
            records.extend(record.filter(|record| key == Some(&record.fingerprint.key().to_string())));
        }
        Ok(records)
    }

    /// Publishes a record. Every object that it names must be in the store.
    pub fn publish(&self, record: &ActionRecord) -> Result<(), CacheError> {
        json::write(&self.action_path(&record.fingerprint.key()), record)
    }

    /// Adds a check to a result that was compared, unless that has been replaced by another one meanwhile.
    pub fn remember_check(&self, compared: &ActionRecord, check: &Check) -> Result<(), CacheError> {
        let Some(mut record) = self.action(&compared.fingerprint.key())? else { return Ok(()) };
        if record.outputs != compared.outputs {
            return Ok(());
        }
        record.checks.retain(|earlier| earlier.device != check.device);
        record.checks.push(check.clone());
        self.publish(&record)
    }

    /// Whether the objects of all outputs can be read and are what they should be.
    pub fn is_sound(&self, record: &ActionRecord) -> bool {
        let is_sound = |digest| matches!(self.store.state(digest, &self.memo), Ok(ObjectState::Sound));
        record.outputs.values().all(|output| is_sound(&output.digest))
    }

    /// The first output of a record whose object is missing or damaged; a damaged one is taken away.
    pub fn lost_output(&self, record: &ActionRecord) -> Result<Option<String>, CacheError> {
        for (name, output) in &record.outputs {
            match self.store.state(&output.digest, &self.memo)? {
                ObjectState::Sound => continue,
                ObjectState::Missing => {}
                ObjectState::Damaged => self.store.remove(&output.digest)?,
            }
            return Ok(Some(name.clone()));
        }
        Ok(None)
    }

    /// The key that each stage of a pipeline last had, to explain the next one by.
    pub fn heads(&self, pipeline: &str) -> BTreeMap<StageId, ActionKey> {
        json::read(&self.heads_path(pipeline)).ok().flatten().unwrap_or_default()
    }

    /// Replaces the heads of a pipeline.
    pub fn set_heads(&self, pipeline: &str, heads: &BTreeMap<StageId, ActionKey>) -> Result<(), CacheError> {
        json::write(&self.heads_path(pipeline), heads)
    }

    /// As [`Cache::set_heads`], but a power cut may bring back those before: for a run that is to replace them again.
    pub fn note_heads(&self, pipeline: &str, heads: &BTreeMap<StageId, ActionKey>) -> Result<(), CacheError> {
        json::note(&self.heads_path(pipeline), heads)
    }

    fn action_path(&self, key: &ActionKey) -> PathBuf {
        action_path(&self.root, key)
    }

    fn heads_path(&self, pipeline: &str) -> PathBuf {
        Cache::heads_of(&self.root).join(format!("{pipeline}.json"))
    }
}

/// As [`Cache::action`], of a state folder.
pub(super) fn action_in(root: &Path, key: &ActionKey) -> Result<Option<ActionRecord>, CacheError> {
    let record = ActionRecord::read(&action_path(root, key))?;
    Ok(record.filter(|record| record.fingerprint.key() == *key))
}

/// Where the record of a key lies in a state folder.
pub(super) fn action_path(root: &Path, key: &ActionKey) -> PathBuf {
    root.join("actions").join(json::file_name(key))
}
