//! Images as they were packed, and as a network saw them: its training crops and warps epoch by epoch, and the crops of an
//! evaluation. All is computed anew from the packed images and the counters of the random numbers.

use std::collections::BTreeSet;

use crate::artifact::{ImagesFile, Picture, PictureError, RowLabels};
use crate::dossier::{Limits, Thumbnail};
use crate::stage::StageError;
use crate::view::{ImageSource, Sample, TrainingViews, Workbench, crops};

/// A packed image.
#[derive(Debug)]
pub struct SampleImage {
    pub path: String,
    pub label: String,
    pub picture: Thumbnail,
}

/// A packed image with what became of it.
#[derive(Debug)]
pub struct AugmentedImage {
    pub original: SampleImage,
    /// What was made of it, with a name for each.
    pub views: Vec<(String, Thumbnail)>,
}

/// Images of as many classes as possible, the same ones for the same file.
pub(super) fn samples(images: &ImagesFile, limits: Limits) -> Result<Vec<SampleImage>, PictureError> {
    varied_rows(images.rows(), limits.samples).into_iter().map(|row| sample(images, row)).collect()
}

/// Training images in the first epochs, before the mean is subtracted.
pub(super) fn augmented(source: &ImageSource, views: &TrainingViews<'_>, limits: Limits) -> Result<Vec<AugmentedImage>, StageError> {
    let rows = varied_rows(source.images().rows(), limits.samples.div_ceil(3));
    let augmented = |row: usize| {
        let original = sample(source.images(), row).map_err(|error| source.error(error.to_string()))?;
        let of_epoch = |epoch| {
            let sample = views.sample(source, epoch, row)?;
            Ok((format!("epoch {epoch}"), seen(source, sample)?))
        };
        Ok(AugmentedImage { original, views: (1..=limits.epochs).map(of_epoch).collect::<Result<_, StageError>>()? })
    };
    rows.into_iter().map(augmented).collect()
}

/// The crops that an evaluation averages over, of one image.
pub(super) fn cropped(source: &ImageSource, count: u32) -> Result<Option<AugmentedImage>, StageError> {
    const PLACES: [&str; 5] = ["top left", "top right", "bottom right", "bottom left", "centre"];
    let Some(&row) = varied_rows(source.images().rows(), 1).first() else { return Ok(None) };
    let original = sample(source.images(), row).map_err(|error| source.error(error.to_string()))?;
    let mut views = Vec::new();
    for (place, (view, mirrored)) in PLACES.iter().cycle().zip(crops(source, count)?) {
        let name = if mirrored { format!("{place}, mirrored") } else { (*place).to_owned() };
        views.push((name, seen(source, Sample { image: row, view, warp: None, mirrored })?));
    }
    Ok(Some(AugmentedImage { original, views }))
}

/// A row as a thumbnail.
pub(super) fn packed(images: &ImagesFile, row: usize) -> Result<Thumbnail, PictureError> {
    let (height, width) = images.size();
    Thumbnail::of(Picture { width, height, pixels: images.row(row).to_vec() })
}

/// The name of a row's class.
pub(super) fn class_of(rows: &RowLabels, row: usize) -> String {
    let name = usize::try_from(rows.labels[row]).ok().and_then(|label| rows.label_names.get(label));
    name.cloned().unwrap_or_else(|| rows.labels[row].to_string())
}

fn sample(images: &ImagesFile, row: usize) -> Result<SampleImage, PictureError> {
    let rows = images.rows();
    let path = rows.paths.get(row).cloned().unwrap_or_default();
    Ok(SampleImage { path, label: class_of(rows, row), picture: packed(images, row)? })
}

fn seen(source: &ImageSource, sample: Sample) -> Result<Thumbnail, StageError> {
    let side = source.side();
    let mut input = vec![0.0; side * side * 3];
    source.fill(&mut input, sample, &mut Workbench::default());
    let pixels = input.iter().map(|value| value.round() as u8).collect();
    Thumbnail::of(Picture { width: side, height: side, pixels }).map_err(|error| source.error(error.to_string()))
}

/// `count` rows, one class after the other as long as there are classes, each class's from its beginning.
fn varied_rows(rows: &RowLabels, count: usize) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    while chosen.len() < count.min(rows.len()) {
        let mut classes = BTreeSet::new();
        let fresh: Vec<usize> = (0..rows.len()).filter(|row| !chosen.contains(row) && classes.insert(rows.labels[*row])).collect();
        chosen.extend(fresh.into_iter().take(count - chosen.len()));
    }
    let mut chosen: Vec<usize> = chosen.into_iter().collect();
    chosen.sort_by_key(|row| (rows.labels[*row], *row));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_class_by_class() {
        let rows = |labels: &[i64]| RowLabels { labels: labels.to_vec(), ..RowLabels::default() };
        assert_eq!(varied_rows(&rows(&[0, 0, 0, 1, 2, 2]), 4), [0, 1, 3, 4]);
        assert_eq!(varied_rows(&rows(&[0, 1, 2]), 2), [0, 1]);
        assert_eq!(varied_rows(&rows(&[5, 5]), 4), [0, 1]);
        assert_eq!(varied_rows(&rows(&[]), 4), Vec::<usize>::new());
    }
}
