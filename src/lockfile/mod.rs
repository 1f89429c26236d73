//! The lock beside a manifest: what every stage takes and gives, by digest, as a text that lives in git.
//!
//! One fact a line, sorted, without dates and places, so that a difference reads as what it means:
//!
//! ```text
//! packtrain-lock 1
//! pack kind pack 1
//! pack input images 9e107d9d… 3000 files
//! pack key 37c2a2b2…
//! pack output train 1d0b17d3… 36866144 bytes
//! ```
//!
//! The digests of outputs are those of one device: `device` says of which, where a network ran. It is told, not compared.

mod compare;
mod difference;
mod facts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use thiserror::Error;

use crate::cache::Cache;
use crate::key::Digest;
use crate::lockfile::facts::{Fact, after, before};
use crate::plan::{Plan, PlanError, settle};

pub use difference::Difference;

/// The version of the layout, as the first line has it.
const HEADER: &str = "packtrain-lock 1";

/// What the stages of a manifest take and give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockfile {
    /// As messages show it.
    path: PathBuf,
    /// By the stage, with its variant.
    stages: BTreeMap<String, BTreeMap<Fact, Written>>,
}

/// What is said of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    value: String,
    /// Counted from 1; 0 of what is not written yet.
    line: usize,
}

/// Why a lock cannot be written, read, or kept to.
#[derive(Debug, Error)]
pub enum LockError {
    #[error("there is no lock {path}", path = path.display())]
    Missing { path: PathBuf },
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}:{line}: {reason}", path = path.display())]
    Malformed { path: PathBuf, line: usize, reason: &'static str },
    #[error("{stage} has no result for its present inputs: a lock is of results, so run the manifest first")]
    Unsettled { stage: String },
    #[error(transparent)]
    Different(#[from] Box<Difference>),
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Lockfile {
    /// Where the lock of a manifest lies: beside it.
    pub fn path_of(manifest: &Path) -> PathBuf {
        manifest.with_extension("lock")
    }

    /// Takes down what the stages of all variants take and give now; each has to have its result.
    pub fn take(plans: &[Plan<'_>], cache: &Cache, path: PathBuf) -> Result<Lockfile, LockError> {
        let mut stages = BTreeMap::new();
        for plan in plans {
            let settlement = settle(plan, cache)?;
            if let Some(stage) = settlement.missing {
                return Err(LockError::Unsettled { stage: plan.pipeline.stage_path(stage).to_string() });
            }
            for settled in settlement.stages {
                let facts = before(settled.stage, &settled.inputs)?.into_iter().chain(after(&settled.record));
                let facts = facts.map(|(fact, value)| (fact, Written { value, line: 0 })).collect();
                stages.insert(plan.pipeline.stage_path(&settled.stage.id).to_string(), facts);
            }
        }
        Ok(Lockfile { path, stages })
    }

    /// Reads a lock.
    pub fn read(path: &Path) -> Result<Lockfile, LockError> {
        let text = fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => LockError::Missing { path: path.to_owned() },
            _ => LockError::Io { path: path.to_owned(), source },
        })?;
        Lockfile::parse(path, &text)
    }

    /// Writes the lock; gives whether it says anything else than the file before.
    pub fn write(&self) -> Result<bool, LockError> {
        let text = self.to_string();
        if fs::read_to_string(&self.path).is_ok_and(|before| before == text) {
            return Ok(false);
        }
        fs::write(&self.path, text).map_err(|source| LockError::Io { path: self.path.clone(), source })?;
        Ok(true)
    }

    /// How many stages it pins.
    pub fn stage_count(&self) -> usize {
        self.stages.len()
    }

    fn parse(path: &Path, text: &str) -> Result<Lockfile, LockError> {
        let malformed = |line, reason| LockError::Malformed { path: path.to_owned(), line, reason };
        let is_said = |line: &(usize, &str)| !line.1.is_empty() && !line.1.starts_with('#');
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(is_said);
        let header = lines.next();
        if header.is_none_or(|(_, text)| text != HEADER) {
            return Err(malformed(
                header.map_or(1, |(line, _)| line),
                "this is no lock that this packtrain can read; its first line says which it is",
            ));
        }
        let mut stages: BTreeMap<String, BTreeMap<Fact, Written>> = BTreeMap::new();
        for (line, text) in lines {
            let read = text.split_once(' ').and_then(|(stage, rest)| Some((stage, Fact::parse(rest)?)));
            let (stage, (fact, value)) = read.ok_or_else(|| malformed(line, "this is no line of a lock: write `stage fact value`"))?;
            let written = Written { value: value.to_owned(), line };
            if stages.entry(stage.to_owned()).or_default().insert(fact, written).is_some() {
                return Err(malformed(line, "this is said twice, as after a merge"));
            }
        }
        Ok(Lockfile { path: path.to_owned(), stages })
    }

    /// The digest that an output is to have.
    fn output(&self, stage: &str, output: &str) -> Option<Digest> {
        let written = self.stages.get(stage)?.get(&Fact::Output(output.to_owned()))?;
        written.value.split(' ').next()?.parse().ok()
    }
}

impl fmt::Display for Lockfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\n# Written by `packtrain lock`, kept to by `packtrain run --locked`.")?;
        for (stage, facts) in &self.stages {
            facts.iter().try_for_each(|(fact, written)| writeln!(f, "{stage} {fact} {}", written.value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Lockfile::parse(Path::new("fruit.lock"), text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_and_the_order_of_lines_does_not_count() {
        let text = "packtrain-lock 1\n# Written by `packtrain lock`, kept to by `packtrain run --locked`.\n\
            lr=0.1/train kind train 2\nlr=0.1/train device cpu\nlr=0.1/train output model 77 5 bytes\npack input images 12 3 files\n";
        let lock = Lockfile::parse(Path::new("fruit.lock"), text).unwrap();
        assert_eq!(lock.to_string(), text);
        let mut lines: Vec<&str> = text.lines().skip(2).collect();
        lines.reverse();
        let other = Lockfile::parse(Path::new("fruit.lock"), &format!("{HEADER}\n{}\n", lines.join("\n"))).unwrap();
        assert_eq!(other.to_string(), text);
    }

    #[test]
    fn what_is_no_lock_is_told_with_its_line() {
        assert_eq!(error(""), "fruit.lock:1: this is no lock that this packtrain can read; its first line says which it is");
        assert_eq!(error("packtrain-lock 2\n").split(": ").next().unwrap(), "fruit.lock:1");
        assert_eq!(error("packtrain-lock 1\n\n<<<<<<< HEAD\n"), "fruit.lock:3: this is no line of a lock: write `stage fact value`");
        assert_eq!(error("packtrain-lock 1\npack key 1\npack key 2\n"), "fruit.lock:3: this is said twice, as after a merge");
    }
}
