//! A bundle as a file: sorted, without time stamps, there whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

use crate::bundle::contents::Content;
use crate::bundle::{Bundle, BundleError};

/// From this size on a file is stored as it is: pixels and weights shrink little, and it would take minutes.
const LARGE: u64 = 1 << 20;
/// From here on a file needs the 64-bit form of a zip.
const HUGE: u64 = u32::MAX as u64;

impl Bundle {
    /// Writes the bundle; replaces a file that is there. Gives its size in bytes.
    pub fn write(&self, path: &Path) -> Result<u64, BundleError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
        let mut temporary = temporary.map_err(BundleError::io(folder))?;
        let mut zip = ZipWriter::new(BufWriter::new(temporary.as_file_mut()));
        for (name, content) in self.complete()? {
            add(&mut zip, &name, &content).map_err(BundleError::io(path))?;
        }
        let mut written = zip.finish().map_err(BundleError::io(path))?;
        written.flush().map_err(BundleError::io(path))?;
        drop(written);
        let size = temporary.as_file().metadata().map_err(BundleError::io(path))?.len();
        temporary.persist(path).map_err(|error| BundleError::Io { path: path.to_owned(), source: error.error })?;
        Ok(size)
    }
}

fn add<W: Write + io::Seek>(zip: &mut ZipWriter<W>, name: &str, content: &Content) -> io::Result<()> {
    let size = content.mark().size;
    let method = if size < LARGE { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method).large_file(size >= HUGE);
    zip.start_file(name, options.last_modified_time(DateTime::DEFAULT).unix_permissions(0o644))?;
    match content {
        Content::Bytes(bytes) => zip.write_all(bytes),
        Content::Object { path, .. } => io::copy(&mut File::open(path)?, zip).map(drop),
    }
}
