//! `Images`: HDF5 with `images` u8 `[N,H,W,3]` RGB, contiguous, and the label of every row.
//!
//! Files made elsewhere are read too, with any number type and layout. Their channels are taken to be R, G, B: nothing in
//! such a file says that they are not.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::types::{IntSize, TypeDescriptor, VarLenUnicode};
use hdf5::{Dataset, File};
use memmap2::{Mmap, MmapOptions, UncheckedAdvice};
use ndarray::{ArrayView4, s};
use serde::de::DeserializeOwned;

use crate::artifact::{ArtifactError, Decode, Fit, PackRule, RowLabels, rows};

/// An images file opened for reading, mapped into memory. Its rows may be read from several threads.
#[derive(Debug)]
pub struct ImagesFile {
    pixels: Pixels,
    /// H, W.
    size: (usize, usize),
    rows: RowLabels,
    fit: Option<Fit>,
    decode: Decode,
}

/// Writes an images file row by row, with bounded memory and without timestamps.
#[derive(Debug)]
pub struct ImagesWriter {
    path: PathBuf,
    file: File,
    images: Dataset,
    size: (usize, usize),
    len: usize,
    written: usize,
}

#[derive(Debug)]
enum Pixels {
    Mapped(Mmap),
    Converted(Vec<u8>),
}

/// Of the file's root: how pictures became squares, and how much of them was decoded; all of it where nothing says so.
const FIT_ATTRIBUTE: &str = "fit";
const DECODE_ATTRIBUTE: &str = "decode";

/// Bytes that are converted at a time when a file has another number type or layout than ours.
const CONVERSION_BYTES: usize = 16 << 20;

impl ImagesFile {
    /// Opens the file and checks its layout. A file that is not u8 or not contiguous is read into memory; numbers of
    /// other types are rounded and clamped to 0–255.
    pub fn open(path: &Path) -> Result<ImagesFile, ArtifactError> {
        let file = rows::open(path)?;
        let images = rows::dataset(&file, path, "images")?;
        let [len, height, width, 3] = images.shape()[..] else {
            let reason = format!("`images` should have the shape [N,H,W,3]; it has {:?}", images.shape());
            return Err(ArtifactError::invalid(path, reason));
        };
        let rows = RowLabels::read(&file, path, len)?;
        let pixels = match mappable_offset(&images, path)? {
            Some(offset) => Pixels::Mapped(map(path, offset, len * height * width * 3)?),
            None => Pixels::Converted(convert(&images, path)?),
        };
        let (fit, decode) = (read_named(&file, FIT_ATTRIBUTE), read_named(&file, DECODE_ATTRIBUTE).unwrap_or_default());
        Ok(ImagesFile { pixels, size: (height, width), rows, fit, decode })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The pixels of one image: `[H,W,3] u8` RGB. Panics if `index` is not below `len()`, as slices do.
    pub fn row(&self, index: usize) -> &[u8] {
        let bytes = self.size.0 * self.size.1 * 3;
        &self.pixels()[index * bytes..(index + 1) * bytes]
    }

    /// The pixels of all images: `[N,H,W,3] u8` RGB.
    pub fn pixels(&self) -> &[u8] {
        match &self.pixels {
            Pixels::Mapped(map) => map,
            Pixels::Converted(pixels) => pixels,
        }
    }

    /// Lets go of the memory of rows that were read, as far as they can be read from the file again: a map counts among a process's memory.
    pub fn release(&self, rows: Range<usize>) {
        let Pixels::Mapped(map) = &self.pixels else { return };
        let bytes = self.size.0 * self.size.1 * 3;
        #[expect(unsafe_code, reason = "advice of this kind would lose what was written to a map of another kind")]
        // SAFETY: the map is of a file and is never written to, so that its pages come back as they were.
        let released = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, rows.start * bytes, rows.len() * bytes) };
        // Memory that is not let go costs nothing but itself.
        drop(released);
    }

    /// How pictures became these images; `None` if something else than packtrain made them.
    pub fn rule(&self) -> Option<PackRule> {
        let (height, width) = self.size;
        let size = u32::try_from(height).ok().filter(|_| height == width)?;
        Some(PackRule { size, fit: self.fit?, decode: self.decode })
    }

    /// Labels, class names and paths.
    pub fn rows(&self) -> &RowLabels {
        &self.rows
    }
}

impl ImagesWriter {
    /// Creates a file for `rows.labels.len()` images of `size` (height, width).
    pub fn create(path: &Path, size: (usize, usize), rows: &RowLabels) -> Result<ImagesWriter, ArtifactError> {
        let file = rows::create(path)?;
        rows.write(&file, path)?;
        let images = file
            .new_dataset_builder()
            .no_chunk()
            .obj_track_times(false)
            .fill_time(hdf5::dataset::FillTime::Never)
            .empty::<u8>()
            .shape((rows.len(), size.0, size.1, 3))
            .create("images")
            .map_err(rows::hdf5_error(path))?;
        Ok(ImagesWriter { path: path.to_owned(), file, images, size, len: rows.len(), written: 0 })
    }

    /// Creates a file for squares of pictures, which says how they became so.
    pub fn of_squares(path: &Path, rule: PackRule, rows: &RowLabels) -> Result<ImagesWriter, ArtifactError> {
        let side = rule.size as usize;
        let writer = ImagesWriter::create(path, (side, side), rows)?;
        writer.say(FIT_ATTRIBUTE, rule.fit.as_str())?;
        if !rule.decode.is_full() {
            writer.say(DECODE_ATTRIBUTE, rule.decode.as_str())?;
        }
        Ok(writer)
    }

    fn say(&self, attribute: &str, value: &str) -> Result<(), ArtifactError> {
        let failed = rows::hdf5_error(&self.path);
        let stored: VarLenUnicode = value.parse().map_err(|_| self.invalid(format!("`{value}` cannot be stored")))?;
        let attribute = self.file.new_attr::<VarLenUnicode>().create(attribute).map_err(&failed)?;
        attribute.write_scalar(&stored).map_err(&failed)
    }

    /// Appends the next images: `[n,H,W,3] u8`.
    pub fn append(&mut self, pixels: &[u8]) -> Result<(), ArtifactError> {
        let (height, width) = self.size;
        let row = height * width * 3;
        if !pixels.len().is_multiple_of(row) {
            return Err(self.invalid(format!("{} bytes are no whole number of {height}×{width} images", pixels.len())));
        }
        let count = pixels.len().checked_div(row).unwrap_or(0);
        let end = self.written + count;
        let block = ArrayView4::from_shape((count, height, width, 3), pixels).map_err(|error| self.invalid(error.to_string()))?;
        if end > self.len {
            return Err(self.invalid(format!("{end} images for a file of {}", self.len)));
        }
        let place = s![self.written..end, .., .., ..];
        self.images.write_slice(block, place).map_err(rows::hdf5_error(&self.path))?;
        self.written = end;
        Ok(())
    }

    /// Ends the file; an error if rows are missing.
    pub fn finish(self) -> Result<(), ArtifactError> {
        if self.written != self.len {
            return Err(self.invalid(format!("only {} of {} images were written", self.written, self.len)));
        }
        let ImagesWriter { path, file, images, .. } = self;
        drop(images);
        file.close().map_err(rows::hdf5_error(&path))
    }

    fn invalid(&self, reason: String) -> ArtifactError {
        ArtifactError::invalid(&self.path, reason)
    }
}

/// A file made elsewhere may have an attribute of the name that says something else.
fn read_named<T: DeserializeOwned>(file: &File, attribute: &str) -> Option<T> {
    let name: VarLenUnicode = file.attr(attribute).ok()?.read_scalar().ok()?;
    serde_json::from_value(name.as_str().into()).ok()
}

/// Where the pixels begin in the file, if they lie there as `[N,H,W,3] u8` in one piece.
fn mappable_offset(images: &Dataset, path: &Path) -> Result<Option<u64>, ArtifactError> {
    let descriptor = images.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(rows::hdf5_error(path))?;
    let bytes = descriptor == TypeDescriptor::Unsigned(IntSize::U1);
    // A dataset that nothing was written to has no place; one in pieces has none either.
    Ok(if bytes && images.storage_size() == images.size() as u64 { images.offset() } else { None })
}

fn map(path: &Path, offset: u64, len: usize) -> Result<Mmap, ArtifactError> {
    let failed = |source| ArtifactError::io(path, source);
    let file = std::fs::File::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    if offset + len as u64 > end {
        return Err(ArtifactError::invalid(
            path,
            format!("the file is cut short: pixels should end at byte {}, it at {end}", offset + len as u64),
        ));
    }
    #[expect(unsafe_code, reason = "a data set may be larger than memory, and mapping a file is unsafe by nature")]
    // SAFETY: a map is sound while nobody changes the file under it. Artifacts are written once, under another name, and
    // are read-only afterwards; a file from outside is the user's to leave alone while it is read.
    let map = unsafe { MmapOptions::new().offset(offset).len(len).map(&file) };
    map.map_err(failed)
}

fn convert(images: &Dataset, path: &Path) -> Result<Vec<u8>, ArtifactError> {
    let shape = images.shape();
    let row: usize = shape[1..].iter().product();
    let step = (CONVERSION_BYTES / (row * size_of::<f32>()).max(1)).max(1);
    let mut pixels = Vec::with_capacity(shape[0] * row);
    for start in (0..shape[0]).step_by(step) {
        let end = (start + step).min(shape[0]);
        let block = images.read_slice::<f32, _, ndarray::Ix4>(s![start..end, .., .., ..]).map_err(rows::hdf5_error(path))?;
        // Float to integer casts saturate, and take NaN to 0.
        pixels.extend(block.iter().map(|value| value.round() as u8));
    }
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> RowLabels {
        RowLabels {
            labels: vec![1, 0, 1],
            label_names: vec!["cat".into(), "dög".into()],
            paths: vec!["a/1.jpg".into(), "b/2.jpg".into(), "a/3.jpg".into()],
        }
    }

    fn write(path: &Path) {
        let mut writer = ImagesWriter::create(path, (2, 4), &rows()).unwrap();
        writer.append(&(0..48).collect::<Vec<u8>>()).unwrap();
        writer.append(&(100..124).collect::<Vec<u8>>()).unwrap();
        writer.finish().unwrap();
    }

    fn reason(path: &Path) -> String {
        ImagesFile::open(path).unwrap_err().to_string().replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn what_is_written_is_read_from_a_map() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        write(&path);
        let images = ImagesFile::open(&path).unwrap();
        assert!(matches!(images.pixels, Pixels::Mapped(_)));
        assert_eq!((images.len(), images.size()), (3, (2, 4)));
        assert_eq!(images.rows(), &rows());
        assert_eq!(images.row(1), (24..48).collect::<Vec<u8>>());
        assert_eq!(images.row(2), (100..124).collect::<Vec<u8>>());
        images.release(0..3);
        assert_eq!(images.row(1), (24..48).collect::<Vec<u8>>(), "what was let go comes back");
        assert_eq!(images.rule(), None, "images that are not square were not packed by us");
    }

    #[test]
    fn a_file_of_squares_says_how_pictures_became_them() {
        let folder = tempfile::tempdir().unwrap();
        for (fit, decode) in [(Fit::Crop, Decode::Full), (Fit::Stretch, Decode::Scaled)] {
            let (path, rule) = (folder.path().join(fit.as_str()), PackRule { size: 2, fit, decode });
            let mut writer = ImagesWriter::of_squares(&path, rule, &rows()).unwrap();
            writer.append(&[0; 36]).unwrap();
            writer.finish().unwrap();
            assert_eq!(ImagesFile::open(&path).unwrap().rule(), Some(rule));
        }
    }

    #[test]
    fn the_same_images_written_later_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("first.h5"), folder.path().join("second.h5"));
        write(&first);
        // HDF5 counts time in seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        write(&second);
        assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
    }

    #[test]
    fn missing_rows_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ImagesWriter::create(&folder.path().join("images.h5"), (2, 4), &rows()).unwrap();
        writer.append(&[0; 24]).unwrap();
        assert!(writer.append(&[0; 25]).is_err());
        assert!(writer.append(&[0; 72]).unwrap_err().to_string().ends_with("4 images for a file of 3"));
        assert!(writer.finish().unwrap_err().to_string().ends_with("only 1 of 3 images were written"));
    }

    #[test]
    fn labels_need_names() {
        let folder = tempfile::tempdir().unwrap();
        let rows = RowLabels { labels: vec![2, 0, 1], ..rows() };
        let error = ImagesWriter::create(&folder.path().join("images.h5"), (2, 4), &rows).unwrap_err();
        assert!(error.to_string().ends_with("the label 2 has no name; there are 2 label names"));
    }

    #[test]
    fn a_file_that_is_something_else_is_named_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        assert_eq!(reason(&path), "FILE: No such file or directory (os error 2)");
        std::fs::write(&path, "images").unwrap();
        assert_eq!(reason(&path), "FILE: not an HDF5 file, or a damaged one");
        let file = File::create(&path).unwrap();
        file.new_dataset_builder().with_data(&[1.0_f32]).create("features").unwrap();
        drop(file);
        assert_eq!(reason(&path), "FILE: it has no dataset `images`; it has: features");
    }

    #[test]
    fn a_lock_that_another_process_holds_is_nobodys_concern() {
        // As a child process holds it that was started while the file was open.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        std::fs::write(&path, "").unwrap();
        let held = std::fs::File::open(&path).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        write(&path);
        ImagesFile::open(&path).unwrap();
    }

    #[test]
    fn a_shortened_file_is_an_error_not_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        write(&path);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
        assert_eq!(reason(&path), "FILE: not an HDF5 file, or a damaged one");
    }

    #[test]
    fn files_of_the_book_are_read() {
        // Float images and strings of fixed width as NumPy makes them; no paths, no version.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        let file = File::create(&path).unwrap();
        let pixels = ndarray::Array4::from_shape_fn((2, 1, 1, 3), |(n, _, _, c)| [0.4, 254.6, 300.0, -3.0, 7.5, 8.0][n * 3 + c]);
        file.new_dataset_builder().with_data(&pixels).create("images").unwrap();
        file.new_dataset_builder().with_data(&[1_u8, 0]).create("labels").unwrap();
        let names = ["cat", "dog"].map(|name| hdf5::types::FixedAscii::<3>::from_ascii(name).unwrap());
        file.new_dataset_builder().with_data(&names).create("label_names").unwrap();
        drop(file);
        let images = ImagesFile::open(&path).unwrap();
        assert_eq!(images.pixels(), [0, 255, 255, 0, 8, 8]);
        let expected = RowLabels { labels: vec![1, 0], label_names: vec!["cat".into(), "dog".into()], paths: vec!["0".into(), "1".into()] };
        assert_eq!(images.rows(), &expected);
    }

    #[test]
    fn chunked_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.h5");
        let file = File::create(&path).unwrap();
        let pixels = ndarray::Array4::from_shape_fn((3, 1, 1, 3), |(n, _, _, c)| (n * 3 + c) as u8);
        file.new_dataset_builder().chunk((2, 1, 1, 3)).with_data(&pixels).create("images").unwrap();
        file.new_dataset_builder().with_data(&[1_i32, 0, 2]).create("labels").unwrap();
        drop(file);
        let images = ImagesFile::open(&path).unwrap();
        assert_eq!(images.pixels(), (0..9).collect::<Vec<u8>>());
        assert_eq!(images.rows().label_names, ["0", "1", "2"]);
    }

    #[test]
    fn rows_may_be_read_from_several_threads() {
        fn shareable<T: Send + Sync>() {}
        shareable::<ImagesFile>();
    }
}
