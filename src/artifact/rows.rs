//! What images and features files share: the label and origin of every row, and how our HDF5 files are made and opened.
//!
//! Files are written without timestamps, so that the same content gives the same bytes. Knows nothing of pixels or
//! features.

use std::path::Path;

use hdf5::file::LibraryVersion;
use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File};

use crate::artifact::ArtifactError;

/// The labels and origins of the rows of an images or features file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowLabels {
    /// `[N]`: the index of the class of every row.
    pub labels: Vec<i64>,
    /// `[C]`: class names, sorted.
    pub label_names: Vec<String>,
    /// `[N]`: path of the source image relative to its folder.
    pub paths: Vec<String>,
}

/// The version of both layouts, an attribute of the file's root. Files without it were made elsewhere.
const FORMAT_VERSION: u32 = 1;

const VERSION_ATTRIBUTE: &str = "format_version";

/// Strings of fixed width, as NumPy writes them, are read up to this many bytes.
const FIXED_STRING: usize = 1024;

/// The version of the HDF5 library.
pub fn hdf5_version() -> String {
    let (major, minor, release) = hdf5::library_version();
    format!("{major}.{minor}.{release}")
}

impl RowLabels {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many rows each class has, in the order of the classes.
    pub fn class_counts(&self) -> Vec<(&str, u64)> {
        let mut counts: Vec<(&str, u64)> = self.label_names.iter().map(|name| (name.as_str(), 0)).collect();
        for label in &self.labels {
            if let Some((_, count)) = usize::try_from(*label).ok().and_then(|label| counts.get_mut(label)) {
                *count += 1;
            }
        }
        counts
    }

    /// Reads the labels of a file with `len` rows. Without `label_names` the classes are named by their numbers, without
    /// `paths` the rows.
    pub(super) fn read(file: &File, path: &Path, len: usize) -> Result<RowLabels, ArtifactError> {
        let labels = read_labels(file, path)?;
        let classes = labels.iter().max().map_or(0, |greatest| greatest + 1);
        let numbered = |count: i64| (0..count).map(|number| number.to_string()).collect();
        let label_names = read_strings(file, path, "label_names")?.unwrap_or_else(|| numbered(classes));
        let paths = read_strings(file, path, "paths")?.unwrap_or_else(|| numbered(labels.len() as i64));
        let rows = RowLabels { labels, label_names, paths };
        rows.check(path)?;
        if rows.len() != len {
            return Err(ArtifactError::invalid(path, format!("it has {len} rows but {} labels", rows.len())));
        }
        Ok(rows)
    }

    /// Writes `labels`, `label_names` and `paths`.
    pub(super) fn write(&self, file: &File, path: &Path) -> Result<(), ArtifactError> {
        self.check(path)?;
        let failed = hdf5_error(path);
        let builder = file.new_dataset_builder().no_chunk().obj_track_times(false);
        builder.with_data(&self.labels).create("labels").map_err(&failed)?;
        write_strings(file, path, "label_names", &self.label_names)?;
        write_strings(file, path, "paths", &self.paths)
    }

    fn check(&self, path: &Path) -> Result<(), ArtifactError> {
        if self.paths.len() != self.labels.len() {
            return Err(ArtifactError::invalid(path, format!("it has {} labels but {} paths", self.labels.len(), self.paths.len())));
        }
        let classes = self.label_names.len();
        let known = |label: &i64| usize::try_from(*label).is_ok_and(|label| label < classes);
        match self.labels.iter().find(|label| !known(label)) {
            Some(label) => Err(ArtifactError::invalid(path, format!("the label {label} has no name; there are {classes} label names"))),
            None => Ok(()),
        }
    }
}

/// Creates a file that is read by every HDF5 library since 1.8.
///
/// HDF5's own file locks are off, here and in [`open`]: a file is written under a name that nobody else knows and never
/// changed afterwards, some network file systems have no locks, and a child process that inherits the open file would go on
/// holding its lock.
pub(super) fn create(path: &Path) -> Result<File, ArtifactError> {
    let failed = hdf5_error(path);
    let file = hdf5::FileBuilder::new()
        .with_fapl(|access| access.libver_bounds(LibraryVersion::V18, LibraryVersion::V18).file_locking(false))
        .with_fcpl(|creation| creation.obj_track_times(false))
        .create(path)
        .map_err(&failed)?;
    let version = file.new_attr::<u32>().create(VERSION_ATTRIBUTE).map_err(&failed)?;
    version.write_scalar(&FORMAT_VERSION).map_err(&failed)?;
    Ok(file)
}

/// Opens a file for reading.
pub(super) fn open(path: &Path) -> Result<File, ArtifactError> {
    // HDF5's own message for a missing file is a stack of its internals.
    std::fs::File::open(path).map_err(|source| ArtifactError::io(path, source))?;
    let file = hdf5::FileBuilder::new()
        .with_fapl(|access| access.file_locking(false))
        .open(path)
        .map_err(|_| ArtifactError::invalid(path, "not an HDF5 file, or a damaged one"))?;
    if let Ok(attribute) = file.attr(VERSION_ATTRIBUTE) {
        let version: u32 = attribute.read_scalar().map_err(hdf5_error(path))?;
        if version > FORMAT_VERSION {
            let reason = format!("its format version is {version}, the newest that this program reads is {FORMAT_VERSION}");
            return Err(ArtifactError::invalid(path, reason));
        }
    }
    Ok(file)
}

/// The dataset `name`, or an error that says which datasets there are.
pub(super) fn dataset(file: &File, path: &Path, name: &str) -> Result<Dataset, ArtifactError> {
    if file.link_exists(name) {
        return file.dataset(name).map_err(hdf5_error(path));
    }
    let members = file.member_names().map_err(hdf5_error(path))?;
    Err(ArtifactError::invalid(path, format!("it has no dataset `{name}`; it has: {}", members.join(", "))))
}

/// Says which file an error of the HDF5 library is about.
pub(super) fn hdf5_error(path: &Path) -> impl Fn(hdf5::Error) -> ArtifactError {
    move |error| ArtifactError::invalid(path, format!("HDF5: {error}"))
}

fn read_labels(file: &File, path: &Path) -> Result<Vec<i64>, ArtifactError> {
    let failed = hdf5_error(path);
    let labels = dataset(file, path, "labels")?;
    let descriptor = labels.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(&failed)?;
    let integer = matches!(descriptor, TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_));
    if !integer || labels.ndim() != 1 {
        let reason = format!("`labels` should be one integer per row; it is {descriptor:?} of shape {:?}", labels.shape());
        return Err(ArtifactError::invalid(path, reason));
    }
    labels.read_raw().map_err(failed)
}

/// The strings of the dataset `name`, if there is one: of variable or fixed length, ASCII or UTF-8.
fn read_strings(file: &File, path: &Path, name: &str) -> Result<Option<Vec<String>>, ArtifactError> {
    if !file.link_exists(name) {
        return Ok(None);
    }
    let failed = hdf5_error(path);
    let strings = dataset(file, path, name)?;
    match strings.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(&failed)? {
        TypeDescriptor::VarLenUnicode => read_as::<VarLenUnicode>(&strings),
        TypeDescriptor::VarLenAscii => read_as::<VarLenAscii>(&strings),
        TypeDescriptor::FixedUnicode(width) if width <= FIXED_STRING => read_as::<FixedUnicode<FIXED_STRING>>(&strings),
        TypeDescriptor::FixedAscii(width) if width <= FIXED_STRING => read_as::<FixedAscii<FIXED_STRING>>(&strings),
        other => return Err(ArtifactError::invalid(path, format!("`{name}` should be strings; it is {other:?}"))),
    }
    .map(Some)
    .map_err(failed)
}

fn read_as<S: hdf5::H5Type + AsRef<str>>(strings: &Dataset) -> hdf5::Result<Vec<String>> {
    Ok(strings.read_raw::<S>()?.iter().map(|string| string.as_ref().to_owned()).collect())
}

fn write_strings(file: &File, path: &Path, name: &str, strings: &[String]) -> Result<(), ArtifactError> {
    let parsed: Result<Vec<VarLenUnicode>, _> = strings.iter().map(|string| string.parse()).collect();
    let parsed = parsed.map_err(|error| ArtifactError::invalid(path, format!("`{name}` cannot be stored: {error}")))?;
    let builder = file.new_dataset_builder().no_chunk().obj_track_times(false);
    builder.with_data(&parsed).create(name).map_err(hdf5_error(path))?;
    Ok(())
}
