//! Whether everything in the state folder is what it was written as, and taking away what is not.
//!
//! | what | found by |
//! |---|---|
//! | objects | their content, which is not that of their name |
//! | action and checkpoint records, heads, records of runs | their seal; objects that they name and that are not there or have another size |
//! | listings of archives, the memo | a digest of their own |
//!
//! Reading all objects takes long, so runs and collections go on meanwhile. What seems damaged then is looked at again together
//! with the records when no run looks at the cache; that is quick. A repair removes records before objects, as the collection does,
//! and leaves what a run that is away will come back to.

mod inspection;
mod objects;
mod repair;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::cache::verify::inspection::Inspection;
use crate::cache::{Alone, CacheError};
use crate::key::{ActionKey, Digest, StageId, TrajectoryKey};

pub use objects::{ObjectsRead, Sample};

/// What a look at the whole cache found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verification {
    pub checked: Checked,
    pub problems: Vec<Problem>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// Objects whose content was read.
    pub objects: u64,
    /// Of these objects.
    pub bytes: u64,
    /// Objects that the sample left out.
    pub objects_left_out: u64,
    /// Records of actions, checkpoints and runs, heads and listings of archives.
    pub records: u64,
}

/// A file that is not what it should be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Relative to the state folder.
    pub file: PathBuf,
    #[serde(flatten)]
    pub what: Damage,
    /// The results that it takes away or makes poorer.
    pub concerns: Vec<Concern>,
    pub fate: Fate,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "damage", rename_all = "kebab-case")]
pub enum Damage {
    /// Its content is not what its name says, or cannot be read.
    DamagedObject {
        object: Digest,
    },
    /// Records name it, and it is not there.
    MissingObject {
        object: Digest,
    },
    /// The record of a result cannot be read, was changed, or does not fit its objects.
    DamagedResult {
        key: ActionKey,
    },
    DamagedCheckpoint {
        key: TrajectoryKey,
    },
    DamagedListing,
    DamagedHeads,
    DamagedMemo,
    /// The record of a run, which nothing can make again.
    DamagedRun,
    /// A record under a name that no record has.
    UnknownRecord,
}

/// A result that a problem takes away or makes poorer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Concern {
    /// With the variant, if there is one; none if no record tells.
    pub pipeline: Option<String>,
    pub stage: Option<StageId>,
    /// Of the result.
    pub key: Option<ActionKey>,
    #[serde(flatten)]
    pub part: Part,
    /// Whether it is the latest result of its stage.
    pub is_latest: bool,
}

/// What of a result is concerned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub enum Part {
    /// All of it, because its record is lost.
    Result,
    Output {
        output: String,
    },
    /// The list of an input's files, by which changes are told.
    Listing {
        object: Digest,
    },
    /// Of which image each row of an output was made, by which rows are reused.
    RowSources {
        output: String,
    },
    /// A state on the way of a training, from which it could go on.
    Checkpoint {
        key: TrajectoryKey,
    },
}

/// What became of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    Found,
    /// Nothing names it any more, and what was damaged is gone.
    Repaired,
    /// A run is using it.
    InUse,
}

impl Alone<'_> {
    /// Looks at all records, and again at the objects that seemed damaged.
    pub fn verify(&self, objects: &ObjectsRead) -> Result<Verification, CacheError> {
        Inspection::new(self.cache(), objects)?.finish()
    }

    /// Takes away what cannot be used, so that the next run makes it again.
    pub fn repair(&self, verification: &mut Verification) -> Result<(), CacheError> {
        repair::repair(self.cache(), &mut verification.problems)
    }
}

impl Verification {
    /// Whether something is wrong that was not repaired.
    pub fn is_damaged(&self) -> bool {
        self.problems.iter().any(|problem| problem.fate != Fate::Repaired)
    }

    /// The results whose files are lost, which run again when they are wanted.
    pub fn lost_results(&self) -> BTreeSet<&Concern> {
        let concerns = self.problems.iter().flat_map(|problem| &problem.concerns);
        concerns.filter(|concern| matches!(concern.part, Part::Result | Part::Output { .. })).collect()
    }
}

#[cfg(test)]
mod tests;
