//! Rows of earlier results, to be copied instead of decoded again.
//!
//! Whoever gives the job vouches that the rows are what the same images would become now.

use std::collections::HashMap;

use crate::artifact::{ArtifactError, ImagesFile};
use crate::key::Digest;
use crate::stage::{EarlierRows, StageError};

/// Earlier images files, mapped into memory.
#[derive(Debug)]
pub(super) struct EarlierImages {
    files: Vec<ImagesFile>,
    /// The place in `files` and the row, by the digest of the source image.
    rows: HashMap<Digest, (usize, usize)>,
}

impl EarlierImages {
    /// Opens the files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or its images are not of `size` (height, width), or fewer than was said.
    pub(super) fn open(earlier: &[EarlierRows], size: (usize, usize)) -> Result<EarlierImages, StageError> {
        let files: Vec<ImagesFile> = earlier.iter().map(|rows| ImagesFile::open(&rows.file)).collect::<Result<_, ArtifactError>>()?;
        let mut rows = HashMap::new();
        for (place, (EarlierRows { file, rows: known, .. }, images)) in earlier.iter().zip(&files).enumerate() {
            if images.size() != size || known.values().any(|row| *row >= images.len()) {
                return Err(StageError::Input { path: file.clone(), reason: "it is not the earlier result that it should be".to_owned() });
            }
            rows.extend(known.iter().map(|(digest, row)| (*digest, (place, *row))));
        }
        Ok(EarlierImages { files, rows })
    }

    /// The packed pixels of an image, `[H,W,3] u8`, if they are known.
    pub(super) fn row(&self, image: &Digest) -> Option<&[u8]> {
        let (file, row) = self.rows.get(image)?;
        Some(self.files.get(*file)?.row(*row))
    }
}
