//! The texts that a manifest is made of, files and command-line overrides, and places in them.
//!
//! Knows nothing of YAML.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// No manifest is larger; a data set given by mistake is.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Every text read so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    current_dir: PathBuf,
    sources: Vec<Source>,
}

/// A text with a name for people.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The path as given or as reached from there, or `command line`.
    pub name: String,
    pub text: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// Absolute; none for the command line.
    pub file: Option<PathBuf>,
}

/// One of [`Sources`]. A manifest comes before what it extends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SourceId(usize);

/// A range of bytes of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    pub source: SourceId,
    pub start: usize,
    pub end: usize,
}

impl Sources {
    pub fn new(current_dir: &Path) -> Sources {
        Sources { current_dir: current_dir.to_owned(), sources: Vec::new() }
    }

    /// Reads a file; `shown` is its path as the user would write it, from the current folder.
    pub fn read(&mut self, shown: &Path) -> io::Result<SourceId> {
        let file = self.absolute(shown);
        let text = read_limited(&file)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(self.push(Source { name: shown.display().to_string(), text, folder, file: Some(file) }))
    }

    /// Adds an argument of the command line.
    pub fn add_argument(&mut self, text: String) -> SourceId {
        self.push(Source { name: "command line".to_owned(), text, folder: self.current_dir.clone(), file: None })
    }

    pub fn get(&self, id: SourceId) -> &Source {
        &self.sources[id.0]
    }

    /// The text of a place.
    pub fn text(&self, span: Span) -> &str {
        self.get(span.source).text.get(span.start..span.end).unwrap_or_default()
    }

    /// The source that is this file, if it was read.
    pub fn find_file(&self, shown: &Path) -> Option<SourceId> {
        let file = self.absolute(shown);
        self.sources.iter().position(|source| source.file.as_ref() == Some(&file)).map(SourceId)
    }

    /// Every file with its text.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.sources.iter().filter_map(|source| Some((source.file.as_deref()?, source.text.as_str())))
    }

    /// The absolute path without `.` and `..`.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        normalize(&self.current_dir.join(path))
    }

    fn push(&mut self, source: Source) -> SourceId {
        self.sources.push(source);
        SourceId(self.sources.len() - 1)
    }
}

impl Span {
    /// The first byte of a text.
    pub fn beginning_of(source: SourceId) -> Span {
        Span { source, start: 0, end: 0 }
    }
}

/// Resolves `.` and `..` by the text alone, so that a path in a message is the one that was written.
pub(super) fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

fn read_limited(file: &Path) -> io::Result<String> {
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {LARGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}
