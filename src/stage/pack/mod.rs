//! `pack`: image files, a label rule and a split become HDF5 files of equal-sized images.

mod census;
mod earlier;
mod labels;
mod ordered;
mod set;
mod share;
mod split;
mod unlabelled;
mod work;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::{ArtifactType, Decode, Fit, InputSource, InputUse, OutputDecl, PackRule, ParameterProblem};

pub use census::{Census, CensusInputs, ClassCount};
pub use share::Share;
pub use unlabelled::{ImageList, Unlabelled};
pub(in crate::stage) use work::run;

/// Packs image files into HDF5, one file per part of the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pack {
    /// A folder of images, searched recursively, an archive (`.zip`, `.tar`, `.tar.gz`), a folder within one, or CIFAR-10's
    /// batches. Either this or `sources`.
    #[schemars(extend("examples" = ["photos", "train.zip", "cifar-10-python.tar.gz/train"]))]
    pub images: Option<PathBuf>,
    /// How an image's class is found.
    #[serde(default)]
    #[schemars(extend("examples" = ["parent-dir", { "filename": "^(cat|dog)\\." }]))]
    pub labels: Labels,
    /// How many images go to `val` and to `test`; the rest is `train`. Stratified, by the seed.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "val": 0.1, "test": 500 }]))]
    pub split: Split,
    /// Several folders, each for its own part, with one set of classes. Either this or `images`.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "train": { "images": "tiny/train", "labels": { "ancestor": 2 } } }]))]
    pub sources: BTreeMap<Subset, PackSource>,
    /// Other names for the classes than those that `labels` finds.
    #[schemars(extend("examples" = [{ "table": "words.txt" }]))]
    pub class_names: Option<ClassNames>,
    /// Side of the packed images, in pixels.
    #[schemars(range(min = 1, max = 4096))]
    #[schemars(extend("examples" = [64, 256]))]
    pub size: u32,
    /// How an image is made square.
    #[serde(default)]
    pub fit: Fit,
    /// How much of an image file is decoded.
    #[serde(default, skip_serializing_if = "Decode::is_full")]
    pub decode: Decode,
    /// What happens when an image cannot be read.
    #[serde(default)]
    pub on_error: OnError,
}

/// A folder whose images begin in one part of the split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PackSource {
    /// A folder of images, searched recursively, an archive, a folder within one, or CIFAR-10's batches.
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
    #[schemars(extend("examples" = ["val_annotations.txt"]))]
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

/// Names for classes, for people to read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClassNames {
    /// A text with a line per class: the name that `labels` finds, a tab or a comma, the name to be used. ImageNet's
    /// `words.txt` is one. Classes that do not occur may be in it.
    pub table: PathBuf,
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
    pub(super) const BESIDE_ROWS: &[&str] = &["images", "labels", "split", "sources", "class-names", "on-error"];

    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let mut inputs = Vec::new();
        if let Some(images) = &self.images {
            push_source(&mut inputs, "", images, &self.labels);
        }
        for (subset, source) in &self.sources {
            push_source(&mut inputs, &format!("sources.{}.", subset.as_str()), &source.images, &source.labels);
        }
        if let Some(ClassNames { table }) = &self.class_names {
            inputs.push(InputUse { name: Cow::Borrowed("class-names.table"), source: InputSource::File(table), accepts: &[] });
        }
        inputs
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        Subset::ALL.into_iter().filter(|subset| self.produces(*subset)).map(Subset::output).collect()
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        if self.images.is_some() != self.sources.is_empty() {
            problems.push(ParameterProblem::new("", "give either `images` or `sources`"));
        }
        if !(1..=4096).contains(&self.size) {
            problems.push(ParameterProblem::new("size", format!("`size` is 1 to 4096, not {}", self.size)));
        }
        if !self.sources.is_empty() && self.labels != Labels::default() {
            problems.push(ParameterProblem::new("labels", "with `sources`, each source has its own `labels`"));
        }
        if !self.sources.is_empty() && self.split != Split::default() {
            problems.push(ParameterProblem::new("split", "with `sources`, each source has its own `split`"));
        }
        check_rules(&mut problems, "", Subset::Train, &self.labels, &self.split);
        for (subset, source) in &self.sources {
            check_rules(&mut problems, &format!("sources.{}.", subset.as_str()), *subset, &source.labels, &source.split);
        }
        problems
    }

    /// What is done to every image.
    pub fn rule(&self) -> PackRule {
        PackRule { size: self.size, fit: self.fit, decode: self.decode }
    }

    /// Whether any image may go to this part.
    pub fn produces(&self, subset: Subset) -> bool {
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

fn check_rules(problems: &mut Vec<ParameterProblem>, prefix: &str, base: Subset, labels: &Labels, split: &Split) {
    let mut problem = |key: &str, message: String| problems.push(ParameterProblem::new(format!("{prefix}{key}"), message));
    if let Err((key, message)) = labels.check() {
        problem(key, message);
    }
    if let (Share::Fraction(val), Share::Fraction(test)) = (split.val, split.test)
        && val + test >= 1.0
    {
        problem("split", format!("`val` and `test` leave nothing: {val} + {test} is not below 1"));
    }
    for (subset, share) in [(Subset::Val, split.val), (Subset::Test, split.test)] {
        if subset == base && !share.is_zero() {
            let name = subset.as_str();
            problem(&format!("split.{name}"), format!("all images of this source are for `{name}` already"));
        }
    }
}

impl Labels {
    /// An error is the key of what cannot work, and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Labels::ParentDir => Ok(()),
            Labels::Ancestor(0) => Err(("labels.ancestor", "1 is the folder that holds the image, 2 the one above; not 0".to_owned())),
            Labels::Ancestor(_) => Ok(()),
            Labels::Filename(pattern) => labels::filename_pattern(pattern).map(drop).map_err(|reason| ("labels.filename", reason)),
            Labels::Table(table) if table.path_column == 0 => Err(("labels.table.path-column", "columns are counted from 1".to_owned())),
            Labels::Table(table) if table.label_column == 0 => Err(("labels.table.label-column", "columns are counted from 1".to_owned())),
            Labels::Table(_) => Ok(()),
        }
    }
}

fn push_source<'a>(inputs: &mut Vec<InputUse<'a>>, prefix: &str, images: &'a Path, labels: &'a Labels) {
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
        OutputDecl::new(self.as_str(), ArtifactType::Images, file)
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
