//! Packed images of which no two are alike; what they show does not matter.

use std::path::{Path, PathBuf};

use packtrain::artifact::{ArtifactError, ImagesWriter, RowLabels};

use crate::bench::Bench;
use crate::error::BenchError;

/// How many there are, of which side, of how many classes.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    pub images: usize,
    pub side: usize,
    pub classes: usize,
}

impl Noise {
    /// Their file, made if it is not there.
    pub fn file(self, bench: &Bench) -> Result<PathBuf, BenchError> {
        let Noise { images, side, classes } = self;
        let path = bench.path(&format!("noise-{images}-{side}-{classes}.h5"));
        if !path.exists() {
            // Another name until it is complete.
            let unfinished = path.with_extension("unfinished");
            self.write(&unfinished).map_err(|error| BenchError::Unexpected(error.to_string()))?;
            std::fs::rename(&unfinished, &path).map_err(BenchError::at(&path))?;
        }
        Ok(path)
    }

    fn write(self, path: &Path) -> Result<(), ArtifactError> {
        let Noise { images, side, classes } = self;
        let labels = (0..images).map(|image| (image % classes) as i64).collect();
        let label_names = (0..classes).map(|class| format!("{class:03}")).collect();
        let paths = (0..images).map(|image| format!("{image}.jpg")).collect();
        let mut writer = ImagesWriter::create(path, (side, side), &RowLabels { labels, label_names, paths })?;
        let mut pixels = vec![0; side * side * 3];
        for image in 0..images as u64 {
            blake3::Hasher::new().update(&image.to_le_bytes()).finalize_xof().fill(&mut pixels);
            writer.append(&pixels)?;
        }
        writer.finish()
    }
}
