//! Sizes of images and what is odd about them, from their headers and the digests of their bytes.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{OddFile, Oddity, Sizes};
use crate::key::Digest;
use crate::stage::{ImageOutline, ImageReader};

/// So many images are opened; of more, an even sample. Enough for any median, and read within seconds.
const MOST_OPENED: usize = 2_000;
/// Proportions of a photograph end here, even those of a panorama by phone.
const EXTREME: u32 = 3;

/// What the images look like.
pub(super) struct Seen {
    pub sizes: Option<Sizes>,
    pub opened: usize,
    pub odd: Vec<OddFile>,
}

/// Opens the images, or an even sample of them.
pub(super) fn look(reader: &ImageReader, images: &[String]) -> Seen {
    let count = images.len().min(MOST_OPENED);
    let sample: Vec<&String> = (0..count).map(|index| &images[index * images.len() / count]).collect();
    let outlines: Vec<_> = sample.par_iter().map(|path| (path.as_str(), reader.outline(path))).collect();
    let mut readable: Vec<(&str, ImageOutline)> = Vec::new();
    let mut odd = Vec::new();
    for (path, outline) in outlines {
        match outline {
            Ok(outline) => readable.push((path, outline)),
            Err(reason) => odd.push(OddFile { path: path.to_owned(), oddity: Oddity::Unreadable(reason) }),
        }
    }
    let sizes = sizes(&readable);
    odd.extend(duplicates(&readable));
    odd.extend(sizes.into_iter().flat_map(|sizes| odd_sizes(&readable, sizes)));
    Seen { sizes, opened: count, odd }
}

fn sizes(readable: &[(&str, ImageOutline)]) -> Option<Sizes> {
    let mut ordered: Vec<(u32, u32)> = readable.iter().map(|(_, outline)| (outline.width, outline.height)).collect();
    ordered.sort_by_key(|(width, height)| (*width.min(height), *width.max(height)));
    let (width, height) = *ordered.get(ordered.len() / 2)?;
    Some(Sizes { median: width.min(height), smallest: *ordered.first()?, largest: *ordered.last()? })
}

/// Every image but the first of those with the same bytes.
fn duplicates(readable: &[(&str, ImageOutline)]) -> Vec<OddFile> {
    let mut first: HashMap<Digest, &str> = HashMap::new();
    let mut odd = Vec::new();
    for (path, outline) in readable {
        match first.get(&outline.digest) {
            Some(of) => odd.push(OddFile { path: (*path).to_owned(), oddity: Oddity::Duplicate { of: (*of).to_owned() } }),
            None => {
                first.insert(outline.digest, path);
            }
        }
    }
    odd
}

fn odd_sizes(readable: &[(&str, ImageOutline)], sizes: Sizes) -> Vec<OddFile> {
    let odd = |(path, outline): &(&str, ImageOutline)| {
        let ImageOutline { width, height, .. } = *outline;
        let (short, long) = (width.min(height), width.max(height));
        let oddity = if short < sizes.median / 4 {
            Oddity::Small { width, height }
        } else if long > short.saturating_mul(EXTREME) {
            Oddity::Extreme { width, height }
        } else {
            return None;
        };
        Some(OddFile { path: (*path).to_owned(), oddity })
    };
    readable.iter().filter_map(odd).collect()
}
