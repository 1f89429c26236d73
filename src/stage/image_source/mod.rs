//! Where images are taken from: a folder, an archive, or CIFAR-10 as its authors give it. The last two are shown as the
//! folder tree that they hold, and a part of it can be asked for: `photos.zip/summer`.
//!
//! Knows nothing of labels, splits and the cache.

mod archive;
mod cifar;
mod folder;
mod pickle;
mod shared_file;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::artifact::Picture;
use crate::key::{Digest, SourceFile};
use crate::stage::image_source::archive::Archive;
use crate::stage::image_source::cifar::{Batches, CifarImages};
use crate::stage::{PackRule, StageError};

pub use folder::{FolderFiles, FoundFile, list_files, list_images, look_at_files};

/// What a path to images leads to, by names alone: nothing is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLocation {
    Folder(PathBuf),
    Packed(PackedLocation),
}

/// A place within files that hold many images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedLocation {
    /// The archive, or the folder of CIFAR's batches.
    container: PathBuf,
    /// The folder within it, with `/` at the end; empty for all of it.
    inside: String,
    /// The files whose content decides, sorted.
    files: Vec<PathBuf>,
}

/// Images that are open for reading, from several threads.
#[derive(Debug)]
pub struct ImageReader {
    /// As the manifest names them.
    root: PathBuf,
    content: Content,
}

/// An image from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageOutline {
    /// Pixels, as it stands upright.
    pub width: u32,
    pub height: u32,
    /// Of the file's content.
    pub digest: Digest,
}

#[derive(Debug)]
enum Content {
    Folder,
    Archive { archive: Archive, inside: String },
    Cifar { images: CifarImages, inside: String },
}

impl ImageLocation {
    /// Follows a path as far as it exists; `None` if that is to nothing that can hold images.
    pub fn find(path: &Path) -> Option<ImageLocation> {
        let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
        let inside = path.strip_prefix(existing).ok()?.to_str()?;
        let inside = if inside.is_empty() { String::new() } else { format!("{inside}/") };
        if existing.is_dir() {
            return match cifar_folder(existing) {
                Some(files) => Some(ImageLocation::Packed(PackedLocation { container: existing.to_owned(), inside, files })),
                None if inside.is_empty() => Some(ImageLocation::Folder(existing.to_owned())),
                None => None,
            };
        }
        let container = existing.to_owned();
        Archive::is_named_so(existing).then(|| ImageLocation::Packed(PackedLocation { files: vec![container.clone()], container, inside }))
    }
}

impl PackedLocation {
    /// The files whose content decides what the images are.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Lists every image of the files, also those that are not asked for, with the digest of its content. Reads everything;
    /// `scratch` is a folder with room for an inflated archive.
    pub fn list_all(&self, scratch: &Path) -> Result<Vec<SourceFile>, StageError> {
        let all = PackedLocation { inside: String::new(), ..self.clone() };
        let reader = all.open(&self.container, scratch)?;
        let failed = |path: &str, reason| StageError::Input { path: self.container.join(path), reason };
        let list = |path: &str| {
            let digest = reader.digest(path).map_err(|reason| failed(path, reason))?;
            Ok(SourceFile { path: path.to_owned(), digest })
        };
        reader.paths().into_par_iter().map(list).collect()
    }

    /// The paths of the images that are asked for, from there on, sorted. Reads as little as the files' kind allows.
    pub fn list_names(&self, scratch: &Path) -> Result<Vec<String>, StageError> {
        let all = PackedLocation { inside: String::new(), ..self.clone() };
        let reader = all.open(&self.container, scratch)?;
        let inner = reader.paths().into_iter().filter_map(|path| path.strip_prefix(&self.inside).map(str::to_owned));
        let mut paths: Vec<String> = inner.collect();
        paths.sort_unstable();
        Ok(paths)
    }

    /// Those of all images that are asked for, by their paths from there on.
    pub fn select(&self, all: &[SourceFile]) -> Vec<SourceFile> {
        let inner = |file: &SourceFile| Some(SourceFile { path: file.path.strip_prefix(&self.inside)?.to_owned(), digest: file.digest });
        all.iter().filter_map(inner).collect()
    }

    fn open(&self, root: &Path, scratch: &Path) -> Result<ImageReader, StageError> {
        let failed = |reason| StageError::Input { path: self.container.clone(), reason };
        let (root, inside) = (root.to_owned(), self.inside.clone());
        if self.container.is_dir() {
            let batches = Batches::find(self.files.iter().filter_map(|file| file.file_name()?.to_str()));
            let batches = batches.ok_or_else(|| failed("its batches of CIFAR are gone".to_owned()))?;
            let read = |file: &str| fs::read(self.container.join(file)).map_err(|error| error.to_string());
            let images = batches.load(read).map_err(failed)?;
            return Ok(ImageReader { root, content: Content::Cifar { images, inside } });
        }
        let archive = Archive::open(&self.container, scratch).map_err(failed)?;
        let content = match Batches::find(archive.names()) {
            Some(batches) => Content::Cifar { images: batches.load(|file| archive.read(file)).map_err(failed)?, inside },
            None => Content::Archive { archive, inside },
        };
        Ok(ImageReader { root, content })
    }
}

impl ImageReader {
    /// Opens what `root` leads to. `scratch` is a folder with room for an inflated archive.
    pub fn open(root: &Path, scratch: &Path) -> Result<ImageReader, StageError> {
        match ImageLocation::find(root) {
            Some(ImageLocation::Packed(packed)) => packed.open(root, scratch),
            _ => Ok(ImageReader { root: root.to_owned(), content: Content::Folder }),
        }
    }

    /// Reads one image, and decodes it as far as a rule says; an error is the reason in words.
    pub fn picture(&self, path: &str, rule: PackRule) -> Result<Picture, String> {
        let decode = |bytes: Vec<u8>| rule.decode(&bytes).map_err(|error| error.to_string());
        match &self.content {
            Content::Folder => fs::read(self.root.join(path)).map_err(|error| error.to_string()).and_then(decode),
            Content::Archive { archive, inside } => archive.read(&format!("{inside}{path}")).and_then(decode),
            Content::Cifar { images, inside } => images.picture(&format!("{inside}{path}")).ok_or_else(gone),
        }
    }

    /// The paths of all images that the root leads to, sorted.
    pub fn list(&self) -> Result<Vec<String>, StageError> {
        let inside = match &self.content {
            Content::Folder => return list_images(&self.root),
            Content::Archive { inside, .. } | Content::Cifar { inside, .. } => inside,
        };
        Ok(self.paths().into_iter().filter_map(|path| path.strip_prefix(inside.as_str())).map(str::to_owned).collect())
    }

    /// The paths of all files beside the images, hidden ones left out.
    pub fn list_others(&self) -> Result<Vec<String>, StageError> {
        let (archive, inside) = match &self.content {
            Content::Folder => return folder::list_others(&self.root),
            Content::Archive { archive, inside } => (archive, inside),
            Content::Cifar { .. } => return Ok(Vec::new()),
        };
        let others = archive.names().filter(|name| folder::is_visible_other(name));
        Ok(others.filter_map(|path| path.strip_prefix(inside.as_str())).map(str::to_owned).collect())
    }

    /// What one image is, without decoding it; an error is the reason in words.
    pub fn outline(&self, path: &str) -> Result<ImageOutline, String> {
        let bytes = match &self.content {
            Content::Folder => fs::read(self.root.join(path)).map_err(|error| error.to_string())?,
            Content::Archive { archive, inside } => archive.read(&format!("{inside}{path}"))?,
            Content::Cifar { images, inside } => {
                let planes = images.planes(&format!("{inside}{path}")).ok_or_else(gone)?;
                return Ok(ImageOutline { width: cifar::SIDE as u32, height: cifar::SIDE as u32, digest: Digest::of_bytes(planes) });
            }
        };
        let (width, height) = Picture::dimensions(&bytes).map_err(|error| error.to_string())?;
        Ok(ImageOutline { width, height, digest: Digest::of_bytes(&bytes) })
    }

    fn paths(&self) -> Vec<&str> {
        match &self.content {
            Content::Folder => Vec::new(),
            Content::Archive { archive, .. } => archive.names().filter(|name| folder::is_visible_image(name)).collect(),
            Content::Cifar { images, .. } => images.paths().collect(),
        }
    }

    fn digest(&self, path: &str) -> Result<Digest, String> {
        match &self.content {
            Content::Folder => Digest::of_file(&self.root.join(path)).map_err(|error| error.to_string()),
            Content::Archive { archive, .. } => archive.read(path).map(|bytes| Digest::of_bytes(&bytes)),
            Content::Cifar { images, .. } => images.planes(path).map(Digest::of_bytes).ok_or_else(gone),
        }
    }
}

fn gone() -> String {
    "it is no longer in the set".to_owned()
}

/// The files of CIFAR's batches in a folder, sorted; `None` if it is another folder.
fn cifar_folder(folder: &Path) -> Option<Vec<PathBuf>> {
    // Most folders of images are large, and this one is not: a look at one name spares reading the others.
    let is_cifar = ["batches.meta", "batches.meta.txt"].iter().any(|meta| folder.join(meta).is_file());
    if !is_cifar {
        return None;
    }
    let entries = fs::read_dir(folder).ok()?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let batches = Batches::find(names.iter().map(String::as_str))?;
    let mut files: Vec<PathBuf> = batches.files().map(|file| folder.join(file)).collect();
    files.sort_unstable();
    Some(files)
}
