//! Folders of JPEGs that cost a decoder what photographs do.
//!
//! Photographs of the user's, where there are some; else drawn ones, with detail at every scale as nature has it, baseline and with
//! halved chroma as cameras write them. Every file has a comment of its own, so that no two have the same content.

use std::fs;
use std::path::{Path, PathBuf};

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use packtrain::artifact::Picture;
use rayon::prelude::*;
use walkdir::WalkDir;

use crate::error::BenchError;

/// JPEGs that are written again and again.
pub struct Photographs {
    jpegs: Vec<Vec<u8>>,
}

/// As in a data set of photographs from the web: width, height.
pub const SMALL: [(usize, usize); 6] = [(500, 375), (375, 500), (499, 333), (320, 240), (350, 263), (300, 400)];

/// As out of a camera.
pub const LARGE: [(usize, usize); 2] = [(4000, 3000), (3000, 4000)];

/// Drawings of each size.
const EACH: u32 = 4;

/// The mark of a folder that was written to the end.
const COMPLETE: &str = ".complete";

const CLASSES: [&str; 2] = ["cats", "dogs"];

impl Photographs {
    /// Draws some of every size.
    pub fn drawn(sizes: &[(usize, usize)]) -> Result<Photographs, BenchError> {
        let all: Vec<_> = sizes.iter().flat_map(|size| (0..EACH).map(move |seed| (*size, seed))).collect();
        let jpegs = all.into_par_iter().map(|(size, seed)| encode(&draw(size, seed))).collect::<Result<_, _>>()?;
        Ok(Photographs { jpegs })
    }

    /// Takes those in a folder.
    pub fn of_folder(folder: &Path) -> Result<Photographs, BenchError> {
        let files = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok).map(walkdir::DirEntry::into_path);
        let files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|ending| ending == "jpg")).collect();
        let jpegs: Vec<_> = files.iter().map(|file| fs::read(file).map_err(BenchError::at(file))).collect::<Result<_, _>>()?;
        match jpegs.is_empty() {
            true => Err(BenchError::Unexpected(format!("there is no .jpg in {}", folder.display()))),
            false => Ok(Photographs { jpegs }),
        }
    }

    /// Whether all that were to be written to a folder are there.
    pub fn are_at(root: &Path) -> bool {
        root.join(COMPLETE).exists()
    }

    /// Writes `count` of them into two folders, which name their classes.
    pub fn write(&self, root: &Path, count: usize) -> Result<(), BenchError> {
        for class in CLASSES {
            let path = root.join(class);
            fs::create_dir_all(&path).map_err(BenchError::at(&path))?;
        }
        (0..count).into_par_iter().try_for_each(|index| {
            let path = root.join(CLASSES[index % CLASSES.len()]).join(format!("{index:06}.jpg"));
            fs::write(&path, with_comment(&self.jpegs[index % self.jpegs.len()], index)).map_err(BenchError::at(&path))
        })?;
        let complete = root.join(COMPLETE);
        fs::write(&complete, "").map_err(BenchError::at(&complete))
    }
}

/// The JPEG with a comment after its first marker.
fn with_comment(jpeg: &[u8], number: usize) -> Vec<u8> {
    let text = format!("{number:06}");
    let (start, rest) = jpeg.split_at(2);
    [start, &[0xff, 0xfe, 0, text.len() as u8 + 2], text.as_bytes(), rest].concat()
}

fn encode(picture: &Picture) -> Result<Vec<u8>, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::Unexpected(format!("a picture cannot be encoded: {error}"));
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, 90);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let size = |side: usize| u16::try_from(side).map_err(|error| failed(&error));
    encoder.encode(&picture.pixels, size(picture.width)?, size(picture.height)?, ColorType::Rgb).map_err(|error| failed(&error))?;
    Ok(jpeg)
}

/// Draws light and shade at every scale, their strength as their size: the spectrum of natural pictures. Colours change slowly.
fn draw((width, height): (usize, usize), seed: u32) -> Picture {
    let longer = width.max(height) as f32;
    // Waves a picture; those of two pixels are noise in any camera.
    let scales: Vec<f32> = (1..).map(|octave| longer / f32::powi(2.0, octave)).take_while(|cell| *cell >= 2.0).collect();
    let mut pixels = Vec::with_capacity(width * height * 3);
    for at in 0..width * height {
        let (x, y) = ((at % width) as f32, (at / width) as f32);
        let light: f32 = scales.iter().map(|cell| strength(*cell, longer) * noise(x / cell, y / cell, seed)).sum();
        let warmth = 60.0 * noise(x * 3.0 / longer, y * 3.0 / longer, seed + 1000);
        let grain = 6.0 * noise(x, y, seed + 2000);
        for tint in [warmth, 0.0, -warmth] {
            pixels.push((128.0 + light + tint + grain).clamp(0.0, 255.0) as u8);
        }
    }
    Picture { width, height, pixels }
}

fn strength(cell: f32, longer: f32) -> f32 {
    110.0 * (cell / longer).powf(0.45)
}

/// Smooth noise from -1 to 1 with a value at every whole place.
fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |share: f32| share * share * (3.0 - 2.0 * share);
    let (across, down) = (ease(x - left), ease(y - top));
    let value = |dx: u32, dy: u32| lattice(left as u32 + dx, top as u32 + dy, seed);
    let row = |dy: u32| value(0, dy) + across * (value(1, dy) - value(0, dy));
    row(0) + down * (row(1) - row(0))
}

/// A number from -1 to 1 that depends on the place alone.
fn lattice(x: u32, y: u32, seed: u32) -> f32 {
    let mut hash = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77) ^ seed.wrapping_mul(0xC2B2_AE3D);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x2C1B_3C6D);
    hash = (hash ^ (hash >> 12)).wrapping_mul(0x297A_2D39);
    (hash ^ (hash >> 15)) as f32 / u32::MAX as f32 * 2.0 - 1.0
}
