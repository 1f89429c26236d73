//! What a `pack` stage would make of its images, by their names alone: nothing is decoded.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::stage::pack::labels::{Folder, class_names, rename};
use crate::stage::pack::set::{ImageSet, label_names, nothing_left, sets};
use crate::stage::{Labels, Pack, ParameterProblem, StageError, Subset};

/// The images of a `pack` stage, counted.
#[derive(Debug, Default)]
pub struct Census {
    /// In the order of their numbers; none where the labels are not to be had.
    pub classes: Vec<ClassCount>,
    /// What would make the stage fail.
    pub problems: Vec<ParameterProblem>,
    /// What the stage would warn of.
    pub doubts: Vec<ParameterProblem>,
}

/// The images of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCount {
    pub name: String,
    /// In all sources.
    pub images: u64,
    /// By [`Subset`]; all 0 where the split cannot be made.
    pub parts: [u64; 3],
}

/// The inputs of a `pack` stage, by their names.
#[derive(Debug, Default)]
pub struct CensusInputs<'a> {
    /// The images of every folder: where it is, and relative paths, sorted.
    pub folders: BTreeMap<String, (&'a Path, Vec<String>)>,
    pub files: BTreeMap<String, &'a Path>,
}

impl Census {
    /// Images of one part.
    pub fn part(&self, subset: Subset) -> u64 {
        self.classes.iter().map(|class| class.parts[subset as usize]).sum()
    }

    /// Images of all parts.
    pub fn images(&self) -> u64 {
        self.classes.iter().map(|class| class.images).sum()
    }

    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(ParameterProblem::new(path, message));
    }

    fn doubt(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.doubts.push(ParameterProblem::new(path, message));
    }
}

impl Pack {
    /// Labels and splits the images as the stage itself would.
    pub fn census(&self, inputs: &CensusInputs<'_>, seed: u64) -> Census {
        let mut census = Census::default();
        let sets = sets(self);
        let folders: Vec<_> = sets.iter().filter_map(|set| folder(set, inputs, &mut census)).collect();
        let labelled = sets.iter().zip(&folders).map(|(set, folder)| label(set, folder, &mut census));
        let names: Option<Vec<_>> = labelled.collect::<Vec<_>>().into_iter().collect();
        let Some(mut names) = names.filter(|_| folders.len() == sets.len()) else { return census };
        if let Some(table) = inputs.files.get("class-names.table")
            && let Err(error) = rename(&mut names, table)
        {
            census.problem("class-names.table", in_words(&error, table.parent().unwrap_or(table)));
            return census;
        }
        self.count(&sets, &folders, &names, (&mut census, seed));
        census
    }

    fn count(&self, sets: &[ImageSet<'_>], folders: &[Folder<'_>], names: &[Vec<String>], (census, seed): (&mut Census, u64)) {
        let all = label_names(names);
        census.classes = all.iter().map(|name| ClassCount { name: name.clone(), images: 0, parts: [0; 3] }).collect();
        for ((set, folder), names) in sets.iter().zip(folders).zip(names) {
            for name in names {
                all.binary_search(name).into_iter().for_each(|class| census.classes[class].images += 1);
            }
            match set.divide(&folder.paths, names, &all, seed) {
                Ok(rows) => rows.iter().for_each(|(row, subset)| census.classes[row.class].parts[*subset as usize] += 1),
                Err(reason) => census.problem(set.place("split"), reason),
            }
        }
        if census.problems.is_empty() {
            self.judge_parts(sets, census);
        }
    }

    /// Parts and classes that have no images.
    fn judge_parts(&self, sets: &[ImageSet<'_>], census: &mut Census) {
        let split = sets.first().map_or_else(String::new, |set| set.place("split"));
        let produced = || Subset::ALL.into_iter().filter(|subset| self.produces(*subset));
        for subset in produced().filter(|subset| census.part(*subset) == 0).collect::<Vec<_>>() {
            census.problem(split.clone(), nothing_left(self, census.images() as usize, subset));
        }
        if let [only] = &census.classes[..] {
            let place = sets.first().map_or_else(String::new, |set| set.place("labels"));
            let message = format!("all {} images are of one class, `{}`", only.images, only.name);
            census.doubt(place, message);
        } else if census.problems.is_empty() {
            produced().for_each(|subset| missing_classes(subset, &split, census));
        }
    }
}

fn missing_classes(subset: Subset, split: &str, census: &mut Census) {
    let missing: BTreeSet<&str> =
        census.classes.iter().filter(|class| class.parts[subset as usize] == 0).map(|class| class.name.as_str()).collect();
    if missing.is_empty() {
        return;
    }
    let shown = missing.iter().take(3).copied().collect::<Vec<_>>().join(", ");
    let (count, more, part) = (census.classes.len(), missing.len().saturating_sub(3), subset.as_str());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("`{part}` has no image of {shown}{rest}, of {count} classes");
    census.doubt(split, message);
}

fn folder<'i>(set: &ImageSet<'_>, inputs: &'i CensusInputs<'_>, census: &mut Census) -> Option<Folder<'i>> {
    let (root, paths) = inputs.folders.get(&set.images_input())?;
    if paths.is_empty() {
        census.problem(set.images_input(), format!("there is no image in {}", root.display()));
        return None;
    }
    let table = inputs.files.get(&set.table_input()).copied();
    Some(Folder { root, paths: paths.iter().map(String::as_str).collect(), table })
}

fn label(set: &ImageSet<'_>, folder: &Folder<'_>, census: &mut Census) -> Option<Vec<String>> {
    let error = match class_names(set.labels, folder) {
        Ok(names) => return Some(names),
        Err(error) => error,
    };
    let key = match set.labels {
        Labels::ParentDir => "labels",
        Labels::Ancestor(_) => "labels.ancestor",
        Labels::Filename(_) => "labels.filename",
        Labels::Table(_) => "labels.table.file",
    };
    census.problem(set.place(key), in_words(&error, folder.table.and_then(Path::parent).unwrap_or(folder.root)));
    None
}

/// The error without the folder that the manifest names beside it.
fn in_words(error: &StageError, root: &Path) -> String {
    let StageError::Input { path, reason } = error else { return error.to_string() };
    let inner = path.strip_prefix(root).map_or(Cow::Owned(path.clone()), Cow::Borrowed);
    if inner.as_os_str().is_empty() { reason.clone() } else { format!("{}: {reason}", inner.display()) }
}
