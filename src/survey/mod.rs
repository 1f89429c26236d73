//! A look at images that somebody has: how they are laid out, which classes there are, how large they are, and what is odd.
//!
//! Gives plain data. Knows nothing of manifests and of what is made of the answer.

mod layout;
mod names;
mod pictures;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::stage::{ClassNames, ImageLocation, ImageReader, Labels, StageError, Subset};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    pub layout: Layout,
    /// Images of each class, of those to train on; all of them if the layout has no parts.
    pub classes: BTreeMap<String, usize>,
    /// `None` if no image could be read.
    pub sizes: Option<Sizes>,
    /// How many images were opened: all of them, or an even sample of many.
    pub opened: usize,
    /// By [`Oddity::rank`], then by path.
    pub odd: Vec<OddFile>,
}

/// How the images are laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Either one that is for nothing in particular, or several of which the first is for training.
    pub sources: Vec<Source>,
    /// A table with readable names for the classes, relative to the root.
    pub class_names: Option<String>,
    /// Folders of images that have no place in it, each with the reason.
    pub left_out: Vec<(String, &'static str)>,
}

/// A folder of images that share a rule for their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The part of a split that its images are, if its name says so.
    pub part: Option<Subset>,
    /// Relative to the root; empty for the root itself.
    pub folder: String,
    /// A table's place is relative to the root.
    pub labels: Labels,
    pub images: usize,
}

/// Sizes of the images that were opened, in pixels, as they stand upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of the shorter sides.
    pub median: u32,
    /// Width and height of the image with the shortest shorter side.
    pub smallest: (u32, u32),
    /// And of that with the longest one.
    pub largest: (u32, u32),
}

/// A file that wants to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddFile {
    /// Relative to the root.
    pub path: String,
    pub oddity: Oddity,
}

/// What is odd about a file, most serious first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// It has an image's name but cannot be read as one.
    Unreadable(String),
    /// Another image has the same bytes.
    Duplicate {
        of: String,
    },
    /// Far smaller than the others.
    Small {
        width: u32,
        height: u32,
    },
    /// More than three times as long as it is wide, or the other way round.
    Extreme {
        width: u32,
        height: u32,
    },
    NotAnImage,
}

impl Oddity {
    /// The same for all oddities of a kind, less for more serious ones.
    pub fn rank(&self) -> usize {
        match self {
            Oddity::Unreadable(_) => 0,
            Oddity::Duplicate { .. } => 1,
            Oddity::Small { .. } => 2,
            Oddity::Extreme { .. } => 3,
            Oddity::NotAnImage => 4,
        }
    }
}

/// Why there is nothing to propose anything for.
#[derive(Debug, Error)]
pub enum SurveyError {
    #[error("there is nothing at {path} that can hold images", path = path.display())]
    NothingThere { path: PathBuf },
    #[error("there is no image in {path}", path = path.display())]
    NoImages { path: PathBuf },
    #[error(
        "the {images} images in {path} have no classes that can be told from folders or from file names, such as {example}",
        path = path.display()
    )]
    NoClasses { path: PathBuf, images: usize, example: String },
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("cannot make room for what is inflated: {0}")]
    Scratch(#[from] std::io::Error),
}

/// Looks at a folder, an archive or a folder within one, or CIFAR-10's batches.
pub fn look(root: &Path) -> Result<Survey, SurveyError> {
    if ImageLocation::find(root).is_none() {
        return Err(SurveyError::NothingThere { path: root.to_owned() });
    }
    let scratch = tempfile::tempdir()?;
    let reader = ImageReader::open(root, scratch.path())?;
    let (images, others) = (reader.list()?, reader.list_others()?);
    let Some(example) = images.first() else { return Err(SurveyError::NoImages { path: root.to_owned() }) };
    // What a table says is read from a file of its own, which an archive does not give out.
    let tables: &[String] = if root.is_dir() { &others } else { &[] };
    let Some((mut layout, classes)) = layout::recognise(&images, tables) else {
        return Err(SurveyError::NoClasses { path: root.to_owned(), images: images.len(), example: example.clone() });
    };
    layout.class_names.take_if(|table| !ClassNames { table: root.join(table) }.fit(classes.keys().cloned().collect()));
    let mut seen = pictures::look(&reader, &images);
    let known = layout::tables(&layout);
    let strangers = others.into_iter().filter(|path| !known.contains(path));
    seen.odd.extend(strangers.map(|path| OddFile { path, oddity: Oddity::NotAnImage }));
    seen.odd.sort_by(|one, other| (one.oddity.rank(), &one.path).cmp(&(other.oddity.rank(), &other.path)));
    Ok(Survey { layout, classes, sizes: seen.sizes, opened: seen.opened, odd: seen.odd })
}
