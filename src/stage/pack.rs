//! `pack`: image files, a label rule and a split become HDF5 files of equal-sized images.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, InputSource, InputUse, OutputDecl, ParameterProblem, StageContext, StageError, StageJob, StageOutput};

/// Packs image files into HDF5, one file per part of the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pack {
    /// A folder of images, searched recursively. Either this or `sources`.
    pub images: Option<PathBuf>,
    /// How an image's class is found.
    #[serde(default)]
    pub labels: Labels,
    /// How many images go to `val` and to `test`; the rest is `train`. Stratified, by the seed.
    #[serde(default)]
    pub split: Split,
    /// Several folders, each for its own part, with one set of classes. Either this or `images`.
    #[serde(default)]
    pub sources: BTreeMap<Subset, PackSource>,
    /// Side of the packed images, in pixels.
    #[schemars(range(min = 1, max = 4096))]
    pub size: u32,
    /// How an image is made square.
    #[serde(default)]
    pub fit: Fit,
    /// What happens when an image cannot be read.
    #[serde(default)]
    pub on_error: OnError,
}

/// A folder whose images begin in one part of the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PackSource {
    /// A folder of images, searched recursively.
    pub images: PathBuf,
    /// How an image's class is found.
    #[serde(default)]
    pub labels: Labels,
    /// How many of these images go to other parts than the one that this source is for.
    #[serde(default)]
    pub split: Split,
}

/// Where an image's class name comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// The name of the folder that holds the image.
    #[default]
    ParentDir,
    /// The name of the folder so many levels up; 1 is the one that holds the image.
    Ancestor(#[schemars(range(min = 1))] u32),
    /// The first group of a regular expression that is searched in the file's name.
    Filename(String),
    /// A table with a line per image.
    Table(TableLabels),
}

/// A text table that names the class of every image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TableLabels {
    /// The table: one line per image, columns separated by tabs, or by commas if the first line has no tab.
    pub file: PathBuf,
    /// The column with the image's path relative to the folder, counted from 1.
    #[serde(default = "TableLabels::first")]
    #[schemars(range(min = 1))]
    pub path_column: u32,
    /// The column with the class name, counted from 1.
    #[serde(default = "TableLabels::second")]
    #[schemars(range(min = 1))]
    pub label_column: u32,
    /// Whether the first line only names the columns.
    #[serde(default)]
    pub header: bool,
}

/// A part of a packed data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subset {
    Train,
    Val,
    Test,
}

/// How many images are held out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Split {
    /// For validation: a number of images, or a fraction below 1.
    #[serde(default)]
    pub val: Share,
    /// For the final test: a number of images, or a fraction below 1.
    #[serde(default)]
    pub test: Share,
}

/// A number of images, or a fraction of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Share {
    Count(u64),
    Fraction(#[schemars(range(min = 0.0, max = 1.0))] f64),
}

/// How an image of any shape becomes a square.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The shorter side is scaled to the size, the longer one cut equally at both ends.
    #[default]
    Crop,
    /// Both sides are scaled to the size, whatever the proportions.
    Stretch,
}

/// What happens when an image cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The stage fails and names the image.
    #[default]
    Fail,
    /// The image is left out, and listed in the stage's record.
    Skip,
}

impl Pack {
    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let mut inputs = Vec::new();
        if let Some(images) = &self.images {
            push_source(&mut inputs, "", images, &self.labels);
        }
        for (subset, source) in &self.sources {
            push_source(&mut inputs, &format!("sources.{}.", subset.as_str()), &source.images, &source.labels);
        }
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        Subset::ALL.into_iter().filter(|subset| self.produces(*subset)).map(Subset::output).collect()
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        if self.images.is_some() == !self.sources.is_empty() {
            problems.push(ParameterProblem::new("", "give either `images` or `sources`"));
        }
        problems
    }

    /// Whether any image may go to this part.
    pub(super) fn produces(&self, subset: Subset) -> bool {
        let held_out = |split: &Split| match subset {
            Subset::Train => false,
            Subset::Val => !split.val.is_zero(),
            Subset::Test => !split.test.is_zero(),
        };
        match &self.images {
            Some(_) => subset == Subset::Train || held_out(&self.split),
            None => self.sources.contains_key(&subset) || self.sources.values().any(|source| held_out(&source.split)),
        }
    }
}

fn push_source<'a>(inputs: &mut Vec<InputUse<'a>>, prefix: &str, images: &'a PathBuf, labels: &'a Labels) {
    inputs.push(InputUse { name: Cow::Owned(format!("{prefix}images")), source: InputSource::ImageFolder(images), accepts: &[] });
    if let Labels::Table(table) = labels {
        inputs.push(InputUse {
            name: Cow::Owned(format!("{prefix}labels.table.file")),
            source: InputSource::File(&table.file),
            accepts: &[],
        });
    }
}

impl Subset {
    /// In the order of the outputs.
    pub const ALL: [Subset; 3] = [Subset::Train, Subset::Val, Subset::Test];

    /// The name in a manifest and of the output.
    pub fn as_str(self) -> &'static str {
        match self {
            Subset::Train => "train",
            Subset::Val => "val",
            Subset::Test => "test",
        }
    }

    fn output(self) -> OutputDecl {
        let file = match self {
            Subset::Train => "train.h5",
            Subset::Val => "val.h5",
            Subset::Test => "test.h5",
        };
        OutputDecl { name: self.as_str(), artifact: ArtifactType::Images, file }
    }
}

impl Share {
    /// Whether this asks for no image at all.
    pub fn is_zero(self) -> bool {
        match self {
            Share::Count(count) => count == 0,
            Share::Fraction(fraction) => fraction == 0.0,
        }
    }
}

impl Default for Share {
    fn default() -> Share {
        Share::Count(0)
    }
}

impl TableLabels {
    fn first() -> u32 {
        1
    }

    fn second() -> u32 {
        2
    }
}

pub(super) fn run(_spec: &Pack, _job: &StageJob, _context: &mut StageContext<'_>) -> Result<StageOutput, StageError> {
    todo!()
}
