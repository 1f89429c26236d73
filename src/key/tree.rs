//! A folder of files as content: the sorted list of its relative paths and digests.
//!
//! Knows nothing of how the files were found or of where the folder lies.

use std::cmp::Ordering;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::key::{ContentHasher, Digest};

/// A file in a folder of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the folder, with `/` between names.
    pub path: String,
    pub digest: Digest,
}

/// The files of a folder, sorted by path. Its text form, one `digest path` a line, is what the folder's digest is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    files: Vec<SourceFile>,
}

/// So many lines are worth a thread.
const LINES_AT_ONCE: usize = 2048;

/// How a listing differs from an earlier one, as paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListingDiff {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Listing {
    /// A listing of `files`, which are put in order.
    pub fn new(mut files: Vec<SourceFile>) -> Listing {
        // Mostly they are in order.
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Listing { files }
    }

    /// The files in order.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text form. A line break in a path is written as `\n` and a backslash as `\\`.
    pub fn to_text(&self) -> String {
        lines(&self.files)
    }

    /// Reads the text form; `None` if it is not one.
    pub fn parse(text: &str) -> Option<Listing> {
        let files = text.lines().map(parse_line).collect::<Option<Vec<_>>>()?;
        Some(Listing { files })
    }

    /// The digest of the text form.
    pub fn digest(&self) -> Digest {
        let texts: Vec<String> = self.files.par_chunks(LINES_AT_ONCE).map(lines).collect();
        let mut hasher = ContentHasher::default();
        texts.iter().for_each(|text| hasher.update(text.as_bytes()));
        hasher.finish()
    }

    /// How this listing differs from an earlier one.
    pub fn diff_from(&self, earlier: &Listing) -> ListingDiff {
        let mut diff = ListingDiff::default();
        let (mut new, mut old) = (self.files.iter().peekable(), earlier.files.iter().peekable());
        loop {
            let order = match (new.peek(), old.peek()) {
                (None, None) => return diff,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(new), Some(old)) => new.path.cmp(&old.path),
            };
            let (added, removed) = match order {
                Ordering::Less => (new.next(), None),
                Ordering::Greater => (None, old.next()),
                Ordering::Equal => (new.next(), old.next()),
            };
            match (added, removed) {
                (Some(file), None) => diff.added.push(file.path.clone()),
                (None, Some(file)) => diff.removed.push(file.path.clone()),
                (Some(new), Some(old)) if new.digest != old.digest => diff.changed.push(new.path.clone()),
                _ => {}
            }
        }
    }
}

fn lines(files: &[SourceFile]) -> String {
    let mut text = String::with_capacity(files.len() * 96);
    for file in files {
        file.digest.push_to(&mut text);
        text.push(' ');
        if file.path.contains(['\\', '\n']) {
            text.push_str(&file.path.replace('\\', "\\\\").replace('\n', "\\n"));
        } else {
            text.push_str(&file.path);
        }
        text.push('\n');
    }
    text
}

fn parse_line(line: &str) -> Option<SourceFile> {
    let (digest, path) = line.split_once(' ')?;
    Some(SourceFile { path: unescape(path), digest: digest.parse().ok()? })
}

fn unescape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[(&str, &str)]) -> Listing {
        Listing::new(
            files.iter().map(|(path, content)| SourceFile { path: (*path).into(), digest: Digest::of_bytes(content.as_bytes()) }).collect(),
        )
    }

    #[test]
    fn a_listing_survives_its_text_form_whatever_the_paths() {
        let odd = listing(&[("a b.jpg", "1"), ("line\nbreak.jpg", "2"), ("back\\slash\\n.jpg", "3")]);
        assert_eq!(Listing::parse(&odd.to_text()), Some(odd));
    }

    #[test]
    fn the_digest_is_that_of_the_text_form() {
        let files = (0..3 * LINES_AT_ONCE + 1).map(|index| SourceFile { path: format!("{index:06}"), digest: Digest::of_bytes(&[1]) });
        let long = Listing::new(files.collect());
        assert_eq!(long.digest(), Digest::of_bytes(long.to_text().as_bytes()));
        assert!(long.to_text().starts_with(&format!("{} 000000\n", Digest::of_bytes(&[1]))));
    }

    #[test]
    fn a_diff_names_what_was_added_removed_and_changed() {
        let old = listing(&[("a", "1"), ("b", "2"), ("d", "4")]);
        let new = listing(&[("a", "1"), ("b", "other"), ("c", "3")]);
        let expected = ListingDiff { added: vec!["c".into()], removed: vec!["d".into()], changed: vec!["b".into()] };
        assert_eq!(new.diff_from(&old), expected);
    }
}
