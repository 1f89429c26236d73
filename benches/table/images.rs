//! Folders of many images, made from the pictures that packtrain draws for its demonstration.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::BenchError;

/// Images a folder.
const EACH: usize = 250;

/// About the size of a file in bytes; the sizes differ by an eighth either way.
const SIZE: usize = 24 * 1024;

/// Drawn pictures, of which every file of a tree is one with a comment of its own: no two files have the same content.
pub struct Drawn {
    pictures: Vec<Vec<u8>>,
}

impl Drawn {
    /// Draws the pictures in a folder.
    pub fn new(folder: &Path) -> Result<Drawn, BenchError> {
        packtrain::demo::write_images(folder, 1).map_err(BenchError::at(folder))?;
        let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
        let files: Vec<PathBuf> = files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect();
        let pictures = files.iter().map(|file| fs::read(file).map_err(BenchError::at(file))).collect::<Result<_, _>>()?;
        Ok(Drawn { pictures })
    }

    /// Writes a tree of `count` images in folders of 250, if it is not there.
    pub fn write_tree(&self, root: &Path, count: usize) -> Result<(), BenchError> {
        let complete = root.join(".complete");
        if complete.exists() {
            return Ok(());
        }
        (0..count.div_ceil(EACH)).into_par_iter().try_for_each(|folder| {
            let path = root.join(format!("d{folder:04}"));
            fs::create_dir_all(&path).map_err(BenchError::at(&path))?;
            let files = folder * EACH..count.min((folder + 1) * EACH);
            files.into_iter().try_for_each(|index| self.write(&image(root, index), index as u64))
        })?;
        fs::write(&complete, "").map_err(BenchError::at(&complete))
    }

    /// Writes one image; another number is another content.
    pub fn write(&self, path: &Path, number: u64) -> Result<(), BenchError> {
        fs::write(path, self.jpeg(number)).map_err(BenchError::at(path))
    }

    /// A picture with a comment after its first marker, which decoders pass over.
    fn jpeg(&self, number: u64) -> Vec<u8> {
        let picture = &self.pictures[number as usize % self.pictures.len()];
        let mut dice = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
        let mut draw = [0; 2];
        dice.fill(&mut draw);
        let size = SIZE * 7 / 8 + usize::from(u16::from_le_bytes(draw)) % (SIZE / 4);
        let mut comment = vec![0; size.saturating_sub(picture.len()).max(16)];
        dice.fill(&mut comment);
        let length = (comment.len() + 2) as u16;
        let (start, rest) = picture.split_at(2);
        [start, &[0xff, 0xfe][..], &length.to_be_bytes()[..], &comment[..], rest].concat()
    }
}

/// Where an image of a tree lies.
pub fn image(root: &Path, index: usize) -> PathBuf {
    root.join(format!("d{:04}", index / EACH)).join(format!("f{index:06}.jpg"))
}
