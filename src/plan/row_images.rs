//! The images that a stage's rows are made of, by digest.
//!
//! Images of folders and archives have digests before anything is read. Of packed images the pixels are hashed, which is remembered
//! by the content of the file: that they were packed from other files, or lie in another row, does not matter to whoever reads them.

use std::collections::BTreeMap;

use crate::artifact::ImagesFile;
use crate::cache::{Cache, CacheError};
use crate::key::Digest;
use crate::manifest::PipelineStage;
use crate::plan::GatheredInputs;
use crate::stage::{ArtifactType, RowSources};

/// What a kind that makes a row of every image makes its rows of.
#[derive(Debug, Default)]
pub struct RowImages {
    /// In folders and archives.
    listed: Vec<Digest>,
    /// By input.
    packed: BTreeMap<String, RowSources>,
}

impl RowImages {
    /// Takes the digests; none of a kind that makes no rows of images, nor of files that cannot be read, as the stage will say.
    pub fn of(stage: &PipelineStage, inputs: &GatheredInputs, cache: &Cache) -> Result<RowImages, CacheError> {
        let mut images = RowImages::default();
        if stage.spec.parameters_beside_rows().is_none() {
            return Ok(images);
        }
        images.listed = inputs.listings.values().flat_map(|listing| listing.files()).map(|file| file.digest).collect();
        for input in stage.spec.inputs().iter().filter(|input| input.accepts.contains(&ArtifactType::Images)) {
            if let Some(rows) = packed(&input.name, inputs, cache)? {
                images.packed.insert(input.name.clone().into_owned(), rows);
            }
        }
        Ok(images)
    }

    /// Every image, as often as there are rows of it.
    pub(super) fn all(&self) -> impl Iterator<Item = Digest> {
        let packed = self.packed.values().flat_map(|RowSources(images)| images);
        self.listed.iter().chain(packed).copied()
    }

    /// For the stage's job: the packed ones, by input.
    pub fn into_packed(self) -> BTreeMap<String, RowSources> {
        self.packed
    }
}

/// The images in the file given as an input.
fn packed(input: &str, inputs: &GatheredInputs, cache: &Cache) -> Result<Option<RowSources>, CacheError> {
    let (Some(content), Some(path)) = (inputs.digests.get(input), inputs.file(input)) else { return Ok(None) };
    if let Some(rows) = cache.packed_rows(content) {
        return Ok(Some(rows));
    }
    let Ok(file) = ImagesFile::open(path) else { return Ok(None) };
    let rows = RowSources::of_packed(&file);
    // A file from outside may have changed since its content was hashed.
    if cache.memo().digest(path).is_ok_and(|(now, _)| now == *content) {
        cache.remember_packed_rows(content, &rows)?;
    }
    Ok(Some(rows))
}
