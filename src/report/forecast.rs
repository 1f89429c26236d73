//! Reasons in one line.

use crate::key::Change;

/// How many reasons a line holds.
const SHOWN: usize = 3;

/// The reasons why a stage runs, joined; many are cut short.
pub fn write_changes(changes: &[Change]) -> String {
    let mut parts: Vec<String> = changes.iter().take(SHOWN).map(Change::to_string).collect();
    if changes.len() > SHOWN {
        parts.push(format!("and {} more", changes.len() - SHOWN));
    }
    parts.join("; ")
}
