//! Of which image each row of an output was made, so that a later job may copy the row instead of making it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::key::Digest;
use crate::stage::StageError;

/// Rows that a stage would make again, byte for byte, in an earlier output of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRows {
    /// A sound file.
    pub file: PathBuf,
    /// The index of a row, by the digest of the image that it was made of.
    pub rows: BTreeMap<Digest, usize>,
}

/// The digests of the images that an output's rows were made of, in the order of the rows. As text, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSources(pub Vec<Digest>);

impl RowSources {
    /// Writes the text to a file.
    pub fn write(&self, path: &Path) -> Result<(), StageError> {
        let text: String = self.0.iter().map(|digest| format!("{digest}\n")).collect();
        fs::write(path, text).map_err(|source| StageError::Io { path: path.to_owned(), source })
    }

    /// Reads the text; `None` if it is not one.
    pub fn parse(text: &[u8]) -> Option<RowSources> {
        let lines = std::str::from_utf8(text).ok()?.lines();
        Some(RowSources(lines.map(|line| line.parse().ok()).collect::<Option<_>>()?))
    }
}
