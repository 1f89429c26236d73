//! Images of which nobody knows the class: found wherever they lie, and packed as those were that a model was trained on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact::{ImagesWriter, PackRule, Picture, RowLabels};
use crate::stage::pack::ordered::for_each_in_order;
use crate::stage::pack::work::{Block, Progress, WINDOW_BYTES};
use crate::stage::{ImageLocation, ImageReader, SkippedImage, StageContext, StageError};

/// The images that some places lead to, in order: a file, a folder, an archive, or a folder within one.
#[derive(Debug, Default)]
pub struct ImageList {
    pub images: Vec<Unlabelled>,
    /// Places that lead to no image.
    pub missing: Vec<SkippedImage>,
}

/// An image that is still to be read.
#[derive(Debug, Clone)]
pub struct Unlabelled {
    /// What users call it.
    pub name: String,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Among(Arc<ImageReader>, String),
}

/// The class that rows have in the file, because every row has one there.
const NO_CLASS: &str = "unknown";

impl ImageList {
    /// Follows every place. `scratch` is a folder with room for inflated archives.
    pub fn find(places: &[PathBuf], scratch: &Path) -> ImageList {
        let mut list = ImageList::default();
        for place in places {
            let name = place.display().to_string();
            let found = Unlabelled::of_place(place, &name, scratch).map_err(|error| match error {
                StageError::Input { reason, .. } => reason,
                other => other.to_string(),
            });
            match found {
                Ok(images) if images.is_empty() => {
                    list.missing.push(SkippedImage { path: name, reason: "there is no image in it".to_owned() });
                }
                Ok(images) => list.images.extend(images),
                Err(reason) => list.missing.push(SkippedImage { path: name, reason }),
            }
        }
        list
    }
}

impl Unlabelled {
    /// Packs images by a rule into an images file. A row stays black if its image cannot be read; gives these with the reasons.
    pub fn pack(
        images: &[Unlabelled],
        rule: PackRule,
        out: &Path,
        context: &mut StageContext<'_>,
    ) -> Result<Vec<Option<String>>, StageError> {
        let paths = images.iter().map(|image| image.name.clone()).collect();
        let labels = RowLabels { labels: vec![0; images.len()], label_names: vec![NO_CLASS.to_owned()], paths };
        let mut block = Block::new(ImagesWriter::of_squares(out, rule, &labels)?);
        let mut progress = Progress::new("reading images".to_owned(), images.len());
        let mut reasons = Vec::with_capacity(images.len());
        let window = (WINDOW_BYTES / rule.row_bytes()).clamp(2 * rayon::current_num_threads(), 4096);
        let read = |image: &Unlabelled| image.picture(rule).map(|picture| rule.apply(&picture));
        for_each_in_order(images, window, read, |_, pixels| {
            context.check_cancelled()?;
            match &pixels {
                Ok(pixels) => block.push(pixels)?,
                Err(_) => block.push(&vec![0; rule.row_bytes()])?,
            }
            reasons.push(pixels.err());
            progress.advance(context);
            Ok::<(), StageError>(())
        })?;
        block.finish()?;
        Ok(reasons)
    }

    fn of_place(place: &Path, name: &str, scratch: &Path) -> Result<Vec<Unlabelled>, StageError> {
        let missing = || StageError::Input { path: place.to_owned(), reason: "there is no such file or folder".to_owned() };
        let location = ImageLocation::find(place);
        if location.is_none() && place.is_file() {
            return Ok(vec![Unlabelled { name: name.to_owned(), source: Source::File(place.to_owned()) }]);
        }
        if location.is_none() || matches!(location, Some(ImageLocation::Folder(_)) if !place.is_dir()) {
            return Err(missing());
        }
        let reader = Arc::new(ImageReader::open(place, scratch)?);
        let among = |path: String| Unlabelled {
            name: format!("{}/{path}", name.trim_end_matches('/')),
            source: Source::Among(Arc::clone(&reader), path),
        };
        Ok(reader.list()?.into_iter().map(among).collect())
    }

    fn picture(&self, rule: PackRule) -> Result<Picture, String> {
        match &self.source {
            Source::File(path) => {
                let bytes = fs::read(path).map_err(|error| error.to_string())?;
                rule.decode(&bytes).map_err(|error| error.to_string())
            }
            Source::Among(reader, path) => reader.picture(path, rule),
        }
    }
}
