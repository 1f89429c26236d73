//! Why a stage runs, as data. Text and JSON are made from it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::{Digest, ListingDiff};

/// One reason why a stage has to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// No earlier result of this stage is known.
    NeverRan,
    /// The user asked for it.
    Forced,
    /// An earlier result has this key, but its files are gone or damaged.
    Lost {
        output: String,
    },
    Kind {
        old: String,
        new: String,
    },
    /// packtrain computes this kind differently than before.
    Version {
        old: String,
        new: String,
    },
    /// A parameter; `None` where it was or is not given.
    Parameter {
        path: String,
        old: Option<Value>,
        new: Option<Value>,
        /// Where the new value is written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Place>,
    },
    /// The content of an input; `None` where it was or is not given.
    Input {
        name: String,
        old: Option<Digest>,
        new: Option<Digest>,
    },
    /// The images of a folder or an archive.
    Images {
        name: String,
        diff: ListingDiff,
    },
    /// The files of a folder.
    Files {
        name: String,
        diff: ListingDiff,
    },
    Seed {
        old: Option<u64>,
        new: Option<u64>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::NeverRan => f.write_str("it has not run before"),
            Change::Forced => f.write_str("it was asked for"),
            Change::Lost { output } => write!(f, "its earlier output `{output}` is gone or damaged"),
            Change::Kind { old, new } => write!(f, "kind {old} → {new}"),
            Change::Version { old, new } => write!(f, "packtrain's version of this kind {old} → {new}"),
            Change::Parameter { path, old, new, place } => {
                write!(f, "{path} {} → {}", Shown(old), Shown(new))?;
                place.as_ref().map_or(Ok(()), |place| write!(f, " ({place})"))
            }
            Change::Input { name, old: Some(_), new: Some(_) } => write!(f, "input `{name}` has other content"),
            Change::Input { name, old: None, .. } => write!(f, "input `{name}` is new"),
            Change::Input { name, new: None, .. } => write!(f, "input `{name}` is no longer given"),
            Change::Images { name, diff } => write!(f, "input `{name}`: {}", diff.counts("image")),
            Change::Files { name, diff } => write!(f, "input `{name}`: {}", diff.counts("file")),
            Change::Seed { old, new } => write!(f, "seed {} → {}", Shown(old), Shown(new)),
        }
    }
}

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// As the user would write it, or `command line`.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An optional value as people read it.
struct Shown<'a, T>(&'a Option<T>);

impl<T: fmt::Display> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("(none)"),
        }
    }
}

impl ListingDiff {
    /// How many files of each sort there are, `noun` being what a file is called: `2 images added, 1 image removed`.
    fn counts(&self, noun: &str) -> String {
        let parts = [(&self.added, "added"), (&self.removed, "removed"), (&self.changed, "changed")];
        let parts = parts.into_iter().filter(|(paths, _)| !paths.is_empty());
        let count =
            |(paths, what): (&Vec<String>, &str)| format!("{} {noun}{} {what}", paths.len(), if paths.len() == 1 { "" } else { "s" });
        parts.map(count).collect::<Vec<_>>().join(", ")
    }
}
