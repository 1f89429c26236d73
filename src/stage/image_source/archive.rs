//! The files in a `.zip`, `.tar` or `.tar.gz`, read where they lie.
//!
//! Nothing is unpacked into folders: names in an archive are data, wherever they point. Only a `.tar.gz`, which can be read
//! from its beginning alone, is inflated once into a file without a name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use crate::stage::image_source::shared_file::SharedFile;

/// An open archive. Its files may be read from several threads.
#[derive(Debug)]
pub(super) struct Archive {
    content: Content,
    files: BTreeMap<String, Place>,
}

#[derive(Debug)]
enum Content {
    Zip(ZipArchive<SharedFile>),
    Tar(SharedFile),
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Index(usize),
    Range { offset: u64, size: u64 },
}

/// Endings of archives, without regard to case.
const ENDINGS: [&str; 4] = [".zip", ".tar", ".tar.gz", ".tgz"];

/// No image, nor a batch of CIFAR, is larger; a file that claims to be is damaged or hostile.
const LARGEST_FILE: u64 = 1 << 30;

impl Archive {
    /// Whether a file is an archive, by its name.
    pub fn is_named_so(path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        name.is_some_and(|name| ENDINGS.iter().any(|ending| name.ends_with(ending)))
    }

    /// Opens an archive, whose kind is told by its first bytes. `scratch` is a folder with room for what is inflated.
    pub fn open(path: &Path, scratch: &Path) -> Result<Archive, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let shared = SharedFile::new(file).map_err(|error| error.to_string())?;
        let start = shared.part(0, 4).unwrap_or_default();
        match start.as_slice() {
            [b'P', b'K', ..] => Archive::zip(shared).map_err(|error| format!("cannot be read as a zip archive: {error}")),
            [0x1f, 0x8b, ..] => {
                let inflated = inflate(shared, scratch).map_err(|error| format!("cannot be inflated: {error}"))?;
                Archive::tar(inflated).map_err(|error| format!("cannot be read as a tar archive: {error}"))
            }
            _ => Archive::tar(shared).map_err(|error| format!("cannot be read as a tar archive: {error}")),
        }
    }

    /// The names of all files, sorted, with `/` between folders.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The content of one file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let place = *self.files.get(name).ok_or_else(|| "it is not in the archive".to_owned())?;
        match (&self.content, place) {
            (Content::Zip(archive), Place::Index(index)) => {
                // The table of files is shared between clones.
                let mut archive = archive.clone();
                let file = archive.by_index(index).map_err(|error| error.to_string())?;
                read_limited(file)
            }
            (Content::Tar(file), Place::Range { offset, size }) if size <= LARGEST_FILE => {
                file.part(offset, size as usize).map_err(|error| error.to_string())
            }
            _ => Err(too_large()),
        }
    }

    fn zip(file: SharedFile) -> Result<Archive, String> {
        let mut archive = ZipArchive::new(file).map_err(|error| error.to_string())?;
        if archive.has_duplicate_names() {
            return Err("a name is in it twice".to_owned());
        }
        let mut files = BTreeMap::new();
        for index in 0..archive.len() {
            let entry = archive.by_index_raw(index).map_err(|error| error.to_string())?;
            if entry.is_file() {
                let name = entry.name().map_err(|error| error.to_string())?.into_owned();
                insert(&mut files, &name, Place::Index(index))?;
            }
        }
        Ok(Archive { content: Content::Zip(archive), files })
    }

    fn tar(file: SharedFile) -> Result<Archive, String> {
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(BufReader::new(file.clone()));
        for entry in archive.entries_with_seek().map_err(|error| error.to_string())? {
            let entry = entry.map_err(|error| error.to_string())?;
            if entry.header().entry_type().is_file() {
                let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| "a name in it is not UTF-8".to_owned())?;
                insert(&mut files, &name, Place::Range { offset: entry.raw_file_position(), size: entry.size() })?;
            }
        }
        Ok(Archive { content: Content::Tar(file), files })
    }
}

fn insert(files: &mut BTreeMap<String, Place>, name: &str, place: Place) -> Result<(), String> {
    let name = name.strip_prefix("./").unwrap_or(name);
    match files.insert(name.to_owned(), place) {
        Some(_) => Err(format!("{name} is in it twice")),
        None => Ok(()),
    }
}

fn inflate(file: SharedFile, scratch: &Path) -> io::Result<SharedFile> {
    let mut inflated = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(scratch)?);
    io::copy(&mut MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file)), &mut inflated)?;
    inflated.flush()?;
    SharedFile::new(inflated.into_inner().map_err(io::IntoInnerError::into_error)?)
}

fn read_limited(file: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST_FILE { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> String {
    format!("it is larger than {} MiB", LARGEST_FILE >> 20)
}
