//! Features of earlier results, to be copied instead of computed again.
//!
//! Whoever gives the job vouches that the network and what it sees of an image are the same. Whether it would give the same bits
//! here is known only here: rows of another arithmetic are passed over.

use std::collections::HashMap;

use packtrain::artifact::{ArtifactError, FeaturesFile};
use packtrain::key::Digest;
use packtrain::stage::{EarlierRows, StageError};

/// Earlier features files, in memory.
#[derive(Debug)]
pub struct EarlierFeatures {
    files: Vec<FeaturesFile>,
    /// The place in `files` and the row, by the digest of the packed image.
    rows: HashMap<Digest, (usize, usize)>,
}

impl EarlierFeatures {
    /// Opens those files whose rows were computed with `arithmetic`; if that is not known, none.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has fewer rows than was said, or vectors of another length than another file.
    pub fn open(earlier: &[EarlierRows], arithmetic: Option<&str>) -> Result<EarlierFeatures, StageError> {
        let alike = |rows: &&EarlierRows| arithmetic.is_some() && rows.arithmetic.as_deref() == arithmetic;
        let earlier: Vec<&EarlierRows> = earlier.iter().filter(alike).collect();
        let open = |rows: &&EarlierRows| FeaturesFile::open(&rows.file);
        let files: Vec<FeaturesFile> = earlier.iter().map(open).collect::<Result<_, ArtifactError>>()?;
        let mut rows = HashMap::new();
        for (place, (earlier, file)) in earlier.iter().zip(&files).enumerate() {
            if file.dimensions != files[0].dimensions || earlier.rows.values().any(|row| *row >= file.rows.len()) {
                let reason = "it is not the earlier result that it should be".to_owned();
                return Err(StageError::Input { path: earlier.file.clone(), reason });
            }
            rows.extend(earlier.rows.iter().map(|(image, row)| (*image, (place, *row))));
        }
        Ok(EarlierFeatures { files, rows })
    }

    /// The length of every vector, if there is any.
    pub fn dimensions(&self) -> Option<usize> {
        self.files.first().map(|file| file.dimensions)
    }

    /// The features of a packed image, if they are known.
    pub fn row(&self, image: &Digest) -> Option<&[f32]> {
        let (file, row) = self.rows.get(image)?;
        let FeaturesFile { values, dimensions, .. } = self.files.get(*file)?;
        values.get(row * dimensions..(row + 1) * dimensions)
    }
}
