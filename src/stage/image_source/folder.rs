//! The files of a folder, by name alone: nothing is opened.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::stage::StageError;

/// Endings of files that are taken for images, without regard to case. Those of formats that are not decoded are among
/// them: such a file is to be an error that names it, not to go missing.
const ENDINGS: [&str; 12] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "heic", "avif"];

/// The images under a folder: paths relative to it with `/` between names, sorted. Hidden files and folders are passed
/// over; links are followed. A name that is not UTF-8 is an error, because it could not be written into an artifact.
pub fn list_images(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, is_image_name)
}

/// The files under a folder, listed as [`list_images`] does. What Python leaves beside its sources is passed over too.
pub fn list_files(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, |path| path.components().all(|part| part.as_os_str() != "__pycache__"))
}

/// The files that [`list_images`] passes over, hidden ones left out.
pub(super) fn list_others(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, |path| !is_image_name(path))
}

fn list(root: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, StageError> {
    let mut paths = Vec::new();
    let entries = WalkDir::new(root).follow_links(true).into_iter().filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    for entry in entries {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            StageError::Io { path, source: error.into() }
        })?;
        let inside = entry.path().strip_prefix(root).unwrap_or(entry.path());
        if entry.file_type().is_file() && is_wanted(inside) {
            let not_utf8 = || StageError::Input { path: entry.path().to_owned(), reason: "its name is not UTF-8; rename it".to_owned() };
            paths.push(inside.to_str().ok_or_else(not_utf8)?.to_owned());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

/// Whether a path in an archive is that of an image and has no hidden name in it.
pub(super) fn is_visible_image(path: &str) -> bool {
    is_image_name(Path::new(path)) && is_visible(path)
}

/// Whether a path in an archive is that of another file and has no hidden name in it.
pub(super) fn is_visible_other(path: &str) -> bool {
    !is_image_name(Path::new(path)) && is_visible(path)
}

fn is_visible(path: &str) -> bool {
    !path.split('/').any(|name| name.starts_with('.'))
}

fn is_image_name(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_listed_in_order_hidden_ones_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b/2.JPEG", "b/10.jpg", "a.png", "notes.txt", ".hidden.jpg", ".git/x.jpg", "a/z.webp", "a/__pycache__/m.pyc"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(list_images(folder.path()).unwrap(), ["a.png", "a/z.webp", "b/10.jpg", "b/2.JPEG"]);
        assert_eq!(list_files(folder.path()).unwrap(), ["a.png", "a/z.webp", "b/10.jpg", "b/2.JPEG", "notes.txt"]);
    }
}
