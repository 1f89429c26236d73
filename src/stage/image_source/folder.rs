//! The files of a folder, by name; whoever wants more looks at each on the way.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat, fstat, openat, statat};

use crate::stage::StageError;

/// Endings of files that are taken for images, without regard to case. Those of formats that are not decoded are among
/// them: such a file is to be an error that names it, not to go missing.
const ENDINGS: [&str; 12] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "heic", "avif"];

/// A file in an open folder. Its name is looked up from there, which spares the kernel the way from the root.
pub struct FoundFile<'a> {
    folder: &'a OwnedFd,
    name: &'a CStr,
}

impl FoundFile<'_> {
    /// What the file system says of it; of a link, of what that leads to.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(statat(self.folder, self.name, AtFlags::empty())?)
    }

    /// Opens it for reading.
    pub fn open(&self) -> io::Result<File> {
        Ok(openat(self.folder, self.name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?.into())
    }
}

/// Which files of a folder count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderFiles {
    /// Images by their names.
    Images,
    /// All but what Python leaves beside its sources.
    All,
    /// Those that are no images.
    Others,
}

/// The images under a folder: paths relative to it with `/` between names, sorted. Hidden files and folders are passed
/// over; links are followed. A name that is not UTF-8 is an error, because it could not be written into an artifact.
pub fn list_images(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, FolderFiles::Images)
}

/// The files under a folder, listed as [`list_images`] does. What Python leaves beside its sources is passed over too.
pub fn list_files(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, FolderFiles::All)
}

/// The files that [`list_images`] passes over, hidden ones left out.
pub(super) fn list_others(root: &Path) -> Result<Vec<String>, StageError> {
    list(root, FolderFiles::Others)
}

/// The files that count, listed as [`list_images`] does, each with what `look` finds when it looks at it. Several threads look.
pub fn look_at_files<T: Send>(
    root: &Path,
    files: FolderFiles,
    look: impl Fn(&FoundFile<'_>) -> io::Result<T> + Sync,
) -> Result<Vec<(String, T)>, StageError> {
    let walk = Walk { root, files, look };
    let folder = open_folder(CWD, root).map_err(walk.failed(Path::new("")))?;
    let blocks = walk.folder(&folder, Path::new(""), &[])?;
    let mut found = Vec::with_capacity(blocks.iter().map(Vec::len).sum());
    blocks.into_iter().for_each(|block| found.extend(block));
    // Folder after folder is in order already but for names such as `a-b` beside `a/c`.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn list(root: &Path, files: FolderFiles) -> Result<Vec<String>, StageError> {
    Ok(look_at_files(root, files, |_| Ok(()))?.into_iter().map(|(path, ())| path).collect())
}

/// A way through a folder and those in it.
struct Walk<'a, F> {
    root: &'a Path,
    files: FolderFiles,
    look: F,
}

/// Files in order, each with what was found.
type Block<T> = Vec<(String, T)>;

/// Names in a folder, each with the zero that C wants at its end.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

/// The place of a folder on the file systems, to notice links that lead back.
type FolderPlace = (u64, u64);

/// So many files are looked at by a thread at least, once it has begun.
const FILES_AT_ONCE: usize = 32;

const LISTING_BUFFER: usize = 32 * 1024;

impl<T: Send, F: Fn(&FoundFile<'_>) -> io::Result<T> + Sync> Walk<'_, F> {
    /// `inside` is the folder's path from the root, `above` are the places of those that it lies in.
    fn folder(&self, folder: &OwnedFd, inside: &Path, above: &[FolderPlace]) -> Result<Vec<Block<T>>, StageError> {
        let stat = fstat(folder).map_err(|error| self.failed(inside)(error.into()))?;
        let place = (stat.st_dev, stat.st_ino);
        if above.contains(&place) {
            return Err(self.failed(inside)(io::Error::other("a link leads back to a folder that it lies in")));
        }
        let above = [above, &[place]].concat();
        let (files, folders) = self.entries(folder, inside)?;
        let blocks = files.starts.par_chunks(FILES_AT_ONCE).map(|starts| {
            let found = starts.iter().filter_map(|start| self.file(folder, inside, files.at(*start)).transpose());
            found.collect::<Result<Block<T>, _>>()
        });
        let folders = folders.starts.par_iter().map(|start| {
            let name = folders.at(*start);
            let inside = inside.join(OsStr::from_bytes(name.to_bytes()));
            let folder = open_folder(folder, name).map_err(self.failed(&inside))?;
            self.folder(&folder, &inside, &above)
        });
        let mut blocks: Vec<_> = blocks.collect::<Result<_, _>>()?;
        folders.collect::<Result<Vec<_>, _>>()?.into_iter().for_each(|inner| blocks.extend(inner));
        Ok(blocks)
    }

    /// The names of the files and of the folders in a folder, each sorted, hidden ones left out.
    fn entries(&self, folder: &OwnedFd, inside: &Path) -> Result<(Names, Names), StageError> {
        let (mut files, mut folders) = (Names::default(), Names::default());
        let mut buffer = vec![MaybeUninit::uninit(); LISTING_BUFFER];
        let mut entries = RawDir::new(folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| self.failed(inside)(error.into()))?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Symlink | FileType::Unknown => {
                    let stat = FoundFile { folder, name }.stat();
                    let inside = || inside.join(OsStr::from_bytes(name.to_bytes()));
                    FileType::from_raw_mode(stat.map_err(|error| self.failed(&inside())(error))?.st_mode)
                }
                kind => kind,
            };
            match kind {
                FileType::RegularFile => files.push(name),
                FileType::Directory => folders.push(name),
                _ => {}
            }
        }
        files.sort();
        folders.sort();
        Ok((files, folders))
    }

    fn file(&self, folder: &OwnedFd, inside: &Path, name: &CStr) -> Result<Option<(String, T)>, StageError> {
        let path = || inside.join(OsStr::from_bytes(name.to_bytes()));
        if !self.files.count(inside, OsStr::from_bytes(name.to_bytes())) {
            return Ok(None);
        }
        let found = (self.look)(&FoundFile { folder, name }).map_err(|error| self.failed(&path())(error))?;
        match (inside.to_str(), name.to_str()) {
            (Some(""), Ok(name)) => Ok(Some((name.to_owned(), found))),
            (Some(inside), Ok(name)) => Ok(Some(([inside, "/", name].concat(), found))),
            _ => Err(StageError::Input { path: self.root.join(path()), reason: "its name is not UTF-8; rename it".to_owned() }),
        }
    }

    fn failed(&self, inside: &Path) -> impl FnOnce(io::Error) -> StageError {
        let path = if inside.as_os_str().is_empty() { self.root.to_owned() } else { self.root.join(inside) };
        move |source| StageError::Io { path, source }
    }
}

impl Names {
    fn push(&mut self, name: &CStr) {
        self.starts.push(self.bytes.len());
        self.bytes.extend(name.to_bytes_with_nul());
    }

    fn sort(&mut self) {
        let Names { bytes, starts } = self;
        starts.sort_unstable_by_key(|start| name_at(bytes, *start));
    }

    fn at(&self, start: usize) -> &CStr {
        name_at(&self.bytes, start)
    }
}

fn name_at(bytes: &[u8], start: usize) -> &CStr {
    CStr::from_bytes_until_nul(&bytes[start..]).unwrap_or_default()
}

impl FolderFiles {
    fn count(self, inside: &Path, name: &OsStr) -> bool {
        match self {
            FolderFiles::Images => is_image_name(Path::new(name)),
            FolderFiles::All => name != "__pycache__" && inside.components().all(|part| part.as_os_str() != "__pycache__"),
            FolderFiles::Others => !is_image_name(Path::new(name)),
        }
    }
}

fn open_folder(above: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(openat(above, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
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
    use std::os::unix::fs::symlink;

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

    #[test]
    fn many_files_are_listed_in_the_order_of_their_whole_paths() {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for inner in ["a", "a-b", "a/c", "b"] {
            fs::create_dir_all(folder.path().join(inner)).unwrap();
            for number in 0..100 {
                let path = format!("{inner}/{number}.jpg");
                fs::write(folder.path().join(&path), "").unwrap();
                expected.push(path);
            }
        }
        expected.sort();
        assert_eq!(list_images(folder.path()).unwrap(), expected);
    }

    #[test]
    fn links_are_followed_and_one_that_leads_back_or_nowhere_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (root, beside) = (folder.path().join("root"), folder.path().join("beside"));
        for path in [&root, &beside] {
            fs::create_dir(path).unwrap();
        }
        fs::write(beside.join("1.jpg"), "").unwrap();
        symlink(&beside, root.join("link")).unwrap();
        symlink(beside.join("1.jpg"), root.join("2.jpg")).unwrap();
        assert_eq!(list_images(&root).unwrap(), ["2.jpg", "link/1.jpg"]);
        symlink(&root, beside.join("back")).unwrap();
        let error = list_images(&root).unwrap_err().to_string();
        assert!(error.contains("link/back: a link leads back"), "{error}");
        fs::remove_file(beside.join("back")).unwrap();
        symlink("nothing", root.join("3.jpg")).unwrap();
        let error = list_images(&root).unwrap_err().to_string();
        assert!(error.contains("3.jpg: No such file"), "{error}");
    }
}
