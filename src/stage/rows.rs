//! Of which image each row of an output was made, so that a later job may copy the row instead of making it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::artifact::ImagesFile;
use crate::key::{Digest, DigestSet, Hasher};
use crate::stage::StageError;

/// Rows that a stage would make again, byte for byte, in an earlier output of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRows {
    /// A sound file.
    pub file: PathBuf,
    /// What made the rows, where that decides their last bits: only the same gives the same bytes. As in [`StageOutput`].
    ///
    /// [`StageOutput`]: crate::stage::StageOutput
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// The index of a row, by the digest of the image that it was made of.
    pub rows: BTreeMap<Digest, usize>,
}

/// The digests of the images that an output's rows were made of, in the order of the rows: of an image file, or of the size and
/// pixels of a packed image. As text, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowSources(pub Vec<Digest>);

/// A line of the text: 64 digits and its end.
const LINE: usize = 65;

/// So many digests are looked for one by one.
const FEW: usize = 16;

impl RowSources {
    /// Hashes the size and the pixels of every packed image.
    pub fn of_packed(images: &ImagesFile) -> RowSources {
        let (height, width) = images.size();
        let digest = |row| {
            let mut hasher = Hasher::new("packtrain packed image 1");
            hasher.field(&(height as u64).to_le_bytes()).field(&(width as u64).to_le_bytes()).field(images.row(row)).finish()
        };
        RowSources((0..images.len()).into_par_iter().map(digest).collect())
    }

    /// The text.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.0.len() * LINE);
        for digest in &self.0 {
            digest.push_to(&mut text);
            text.push('\n');
        }
        text
    }

    /// Whether one of some digests stands in a text. If they are many, it is taken for granted: to read the text is faster then.
    pub fn may_name(text: &[u8], wanted: &DigestSet) -> bool {
        if wanted.len() > FEW {
            return true;
        }
        let wanted: Vec<String> = wanted.iter().map(Digest::to_string).collect();
        text.chunks_exact(LINE).any(|line| wanted.iter().any(|digest| line.starts_with(digest.as_bytes())))
    }

    /// Writes the text to a file.
    pub fn write(&self, path: &Path) -> Result<(), StageError> {
        fs::write(path, self.to_text()).map_err(|source| StageError::Io { path: path.to_owned(), source })
    }

    /// Reads the text; `None` if it is not one.
    pub fn parse(text: &[u8]) -> Option<RowSources> {
        let lines = std::str::from_utf8(text).ok()?.lines();
        Some(RowSources(lines.map(|line| line.parse().ok()).collect::<Option<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::{ImagesWriter, RowLabels};

    /// Of three images with these pixels.
    fn sources(size: (usize, usize), pixels: &[u8]) -> Vec<Digest> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        let paths = ["1.jpg", "2.jpg", "3.jpg"].map(str::to_owned).to_vec();
        let labels = RowLabels { labels: vec![0; 3], label_names: vec!["cat".to_owned()], paths };
        let mut writer = ImagesWriter::create(&path, size, &labels).unwrap();
        writer.append(pixels).unwrap();
        writer.finish().unwrap();
        RowSources::of_packed(&ImagesFile::open(&path).unwrap()).0
    }

    #[test]
    fn a_packed_image_is_known_by_its_pixels_and_their_shape() {
        let pixels: Vec<u8> = (0..48).chain(0..24).collect();
        let [first, second, again] = sources((2, 4), &pixels)[..] else { panic!("three images have three digests") };
        assert_eq!(first, again);
        assert_ne!(first, second);
        assert!(!sources((4, 2), &pixels).contains(&first), "the same bytes in another shape are another image");
    }

    #[test]
    fn the_text_is_read_as_it_was_written() {
        let sources = RowSources(["1", "2", "1"].map(|image| Digest::of_bytes(image.as_bytes())).to_vec());
        assert_eq!(RowSources::parse(sources.to_text().as_bytes()), Some(sources));
        assert_eq!(RowSources::parse(b"no digest\n"), None);
    }

    #[test]
    fn a_text_names_what_it_holds() {
        let digest = |number: usize| Digest::of_bytes(&number.to_le_bytes());
        let text = RowSources((0..50).map(digest).collect()).to_text().into_bytes();
        let names = |numbers: &[usize]| RowSources::may_name(&text, &numbers.iter().copied().map(digest).collect());
        assert_eq!([names(&[49]), names(&[50]), names(&[50, 0]), names(&[])], [true, false, true, false]);
        assert!(names(&(50..70).collect::<Vec<_>>()), "many are not looked for");
    }
}
