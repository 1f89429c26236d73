//! `Features`: HDF5 with `features` f32 `[N,D]` and the label of every row.

use std::path::{Path, PathBuf};

use hdf5::{Dataset, File};
use ndarray::{ArrayView2, s};

use crate::artifact::{ArtifactError, RowLabels, rows};

/// A features file, read whole.
#[derive(Debug)]
pub struct FeaturesFile {
    /// `[N*D]`, row by row.
    pub values: Vec<f32>,
    /// D.
    pub dimensions: usize,
    pub rows: RowLabels,
}

/// Writes a features file row by row.
#[derive(Debug)]
pub struct FeaturesWriter {
    path: PathBuf,
    file: File,
    features: Dataset,
    dimensions: usize,
    len: usize,
    written: usize,
}

impl FeaturesFile {
    /// Opens the file, checks its layout and reads it; numbers of other types are converted to f32.
    pub fn open(path: &Path) -> Result<FeaturesFile, ArtifactError> {
        let file = rows::open(path)?;
        let features = rows::dataset(&file, path, "features")?;
        let [len, dimensions] = features.shape()[..] else {
            let reason = format!("`features` should have the shape [N,D]; it has {:?}", features.shape());
            return Err(ArtifactError::invalid(path, reason));
        };
        let rows = RowLabels::read(&file, path, len)?;
        let values: Vec<f32> = features.read_raw().map_err(rows::hdf5_error(path))?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(ArtifactError::invalid(path, format!("row {} has a value that is not a number", at / dimensions))),
            None => Ok(FeaturesFile { values, dimensions, rows }),
        }
    }
}

impl FeaturesWriter {
    /// Creates a file for `rows.labels.len()` vectors of `dimensions` numbers.
    pub fn create(path: &Path, dimensions: usize, rows: &RowLabels) -> Result<FeaturesWriter, ArtifactError> {
        let file = rows::create(path)?;
        rows.write(&file, path)?;
        let features = file
            .new_dataset_builder()
            .no_chunk()
            .obj_track_times(false)
            .fill_time(hdf5::dataset::FillTime::Never)
            .empty::<f32>()
            .shape((rows.len(), dimensions))
            .create("features")
            .map_err(rows::hdf5_error(path))?;
        Ok(FeaturesWriter { path: path.to_owned(), file, features, dimensions, len: rows.len(), written: 0 })
    }

    /// Appends the next vectors: `[n,D] f32`.
    pub fn append(&mut self, values: &[f32]) -> Result<(), ArtifactError> {
        if !values.len().is_multiple_of(self.dimensions) {
            return Err(self.invalid(format!("{} numbers are no whole number of vectors of {}", values.len(), self.dimensions)));
        }
        let count = values.len().checked_div(self.dimensions).unwrap_or(0);
        let end = self.written + count;
        let block = ArrayView2::from_shape((count, self.dimensions), values).map_err(|error| self.invalid(error.to_string()))?;
        if end > self.len {
            return Err(self.invalid(format!("{end} vectors for a file of {}", self.len)));
        }
        self.features.write_slice(block, s![self.written..end, ..]).map_err(rows::hdf5_error(&self.path))?;
        self.written = end;
        Ok(())
    }

    /// Ends the file; an error if rows are missing.
    pub fn finish(self) -> Result<(), ArtifactError> {
        if self.written != self.len {
            return Err(self.invalid(format!("only {} of {} vectors were written", self.written, self.len)));
        }
        let FeaturesWriter { path, file, features, .. } = self;
        drop(features);
        file.close().map_err(rows::hdf5_error(&path))
    }

    fn invalid(&self, reason: String) -> ArtifactError {
        ArtifactError::invalid(&self.path, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.h5");
        let rows = RowLabels { labels: vec![0, 0], label_names: vec!["cat".into()], paths: vec!["1.jpg".into(), "2.jpg".into()] };
        let mut writer = FeaturesWriter::create(&path, 3, &rows).unwrap();
        writer.append(&[1.0, -2.5, 1e-30, 4.0, 5.0, 6.0]).unwrap();
        writer.finish().unwrap();
        let features = FeaturesFile::open(&path).unwrap();
        assert_eq!((features.dimensions, features.rows), (3, rows));
        assert_eq!(features.values, [1.0, -2.5, 1e-30, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn double_precision_is_read_and_what_is_no_number_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.h5");
        for (value, fine) in [(0.25, true), (f64::NAN, false)] {
            let file = File::create(&path).unwrap();
            file.new_dataset_builder().with_data(&ndarray::array![[1.0, 2.0], [3.0, value]]).create("features").unwrap();
            file.new_dataset_builder().with_data(&[1_i64, 0]).create("labels").unwrap();
            drop(file);
            match FeaturesFile::open(&path) {
                Ok(features) => assert!(fine && features.values == [1.0, 2.0, 3.0, 0.25]),
                Err(error) => assert!(!fine && error.to_string().ends_with("row 1 has a value that is not a number")),
            }
        }
    }
}
