//! The files and folders that the runs of a manifest read, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf, absolute};

use rayon::prelude::*;

use crate::cache::{Memo, Project};
use crate::event::{SourceChange, SourceChangeKind, SourceCounts};
use crate::key::Digest;
use crate::manifest::{Family, PipelineInputSource};
use crate::plan::Plan;
use crate::stage::{ImageLocation, list_files, list_images};

/// Everything that runs read from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    places: BTreeSet<Place>,
    /// Of the manifests, what was read.
    loaded: BTreeMap<PathBuf, Digest>,
    /// What packtrain itself writes.
    own: Vec<PathBuf>,
}

/// A file, a folder or an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Manifest(PathBuf),
    File(PathBuf),
    /// A folder or an archive of images, or a folder within an archive.
    Images(PathBuf),
    /// A folder of files of any kind.
    Files(PathBuf),
}

/// The files that are there, by content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<Place, BTreeMap<PathBuf, Digest>>);

impl Sources {
    /// What the plans of a family read. `settings` are files that may come to be read, whether they are there or not.
    pub fn of(family: &Family, plans: &[Plan<'_>], project: &Project, settings: impl IntoIterator<Item = PathBuf>) -> Sources {
        let loaded: BTreeMap<PathBuf, Digest> =
            family.texts().map(|(path, text)| (path.to_owned(), Digest::of_bytes(text.as_bytes()))).collect();
        let manifests = loaded.keys().cloned().chain(settings).map(Place::Manifest);
        let inputs = plans.iter().flat_map(|plan| plan.stages()).flat_map(|stage| &stage.inputs);
        let places = manifests.chain(inputs.filter_map(|input| Place::of(&input.source))).collect();
        Sources { places, loaded, own: [project.outputs(), project.state.clone()].iter().filter_map(|own| absolute(own).ok()).collect() }
    }

    /// What is there now. Files that did not change are not read.
    pub(super) fn read(&self, memo: &Memo) -> Contents {
        let digest = |file: PathBuf| memo.digest(&file).ok().map(|(digest, _)| (file, digest));
        let read = |place: &Place| {
            let files: Vec<PathBuf> = place.files().into_iter().filter(|file| !self.is_own(file)).collect();
            (place.clone(), files.into_par_iter().filter_map(digest).collect())
        };
        Contents(self.places.iter().map(read).collect())
    }

    /// As [`Self::read`], but of manifests what was read when they were loaded.
    pub(super) fn as_loaded(&self, mut now: Contents) -> Contents {
        for (path, digest) in &self.loaded {
            now.0.insert(Place::Manifest(path.clone()), BTreeMap::from([(path.clone(), *digest)]));
        }
        now
    }

    /// Whether a change at `path` can matter.
    pub(super) fn concern(&self, path: &Path) -> bool {
        !self.is_own(path) && self.places.iter().any(|place| place.holds(path))
    }

    /// The folders to watch, and whether with all that is under them: everything that is read, and what it lies in, because a file can
    /// be replaced by another one of its name.
    pub(super) fn folders(&self) -> BTreeMap<PathBuf, bool> {
        let mut folders = BTreeMap::new();
        for place in &self.places {
            let real = place.path().canonicalize().ok();
            for path in [Some(place.path()), real.as_deref()].into_iter().flatten() {
                let parents = path.ancestors().skip(1).find(|folder| folder.is_dir());
                parents.into_iter().for_each(|folder| *folders.entry(folder.to_owned()).or_insert(false) |= false);
            }
            if place.path().is_dir() {
                folders.insert(place.path().to_owned(), true);
            }
        }
        folders
    }

    fn is_own(&self, path: &Path) -> bool {
        self.own.iter().any(|own| path.starts_with(own))
    }
}

impl Place {
    /// None for what another stage makes.
    fn of(source: &PipelineInputSource) -> Option<Place> {
        match source {
            PipelineInputSource::Output { .. } => None,
            PipelineInputSource::File(path) => Some(Place::File(path.clone())),
            PipelineInputSource::ImageFolder(path) => Some(Place::Images(path.clone())),
            PipelineInputSource::Folder(path) => Some(Place::Files(path.clone())),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Place::Manifest(path) | Place::File(path) | Place::Images(path) | Place::Files(path) => path,
        }
    }

    /// The files that count, those that are not there among them; none of a folder that cannot be read.
    fn files(&self) -> Vec<PathBuf> {
        let under = |root: &Path, listed: Vec<String>| listed.into_iter().map(|path| root.join(path)).collect();
        match self {
            Place::Manifest(path) | Place::File(path) => vec![path.clone()],
            Place::Files(root) => under(root, list_files(root).unwrap_or_default()),
            Place::Images(root) => match ImageLocation::find(root) {
                Some(ImageLocation::Packed(packed)) => packed.files().to_vec(),
                _ => under(root, list_images(root).unwrap_or_default()),
            },
        }
    }

    /// Whether a change at `path` may change what is here: the place itself, what it lies in or, of a folder, what lies in it and is
    /// not hidden.
    fn holds(&self, path: &Path) -> bool {
        let is_hidden = |inside: &Path| inside.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        let real = self.path().canonicalize();
        [Some(self.path()), real.as_deref().ok()].into_iter().flatten().any(|own| {
            own.starts_with(path)
                || match self {
                    Place::Manifest(_) | Place::File(_) => false,
                    Place::Images(_) | Place::Files(_) => path.strip_prefix(own).is_ok_and(|inside| !is_hidden(inside)),
                }
        })
    }
}

impl Contents {
    /// What changed since `earlier`, which is of the same sources: a file by its name, several files of a folder by their number.
    pub(super) fn changes_from(&self, earlier: &Contents) -> Vec<SourceChange> {
        let none = BTreeMap::new();
        let mut changes: Vec<SourceChange> = Vec::new();
        for (place, new) in &self.0 {
            let old = earlier.0.get(place).unwrap_or(&none);
            let added = new.keys().filter(|file| !old.contains_key(*file)).collect();
            let removed = old.keys().filter(|file| !new.contains_key(*file)).collect();
            let changed =
                new.iter().filter(|(file, digest)| old.get(*file).is_some_and(|old| old != *digest)).map(|(file, _)| file).collect();
            for (how, files) in
                [(SourceChangeKind::Added, added), (SourceChangeKind::Removed, removed), (SourceChangeKind::Changed, changed)]
            {
                let files: Vec<&PathBuf> = files;
                let path = match files[..] {
                    [] => continue,
                    [file] => file,
                    _ => place.path(),
                };
                let change = SourceChange { path: path.to_owned(), how, files: files.len() as u64 };
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
        }
        changes
    }

    pub(super) fn counts(&self) -> SourceCounts {
        let mut counts = SourceCounts::default();
        for (place, files) in &self.0 {
            let number = files.len() as u64;
            match place {
                Place::Manifest(_) => counts.manifests += number,
                Place::Images(path) | Place::Files(path) if path.is_dir() => {
                    counts.folders += 1;
                    counts.files_in_folders += number;
                }
                Place::File(_) | Place::Images(_) | Place::Files(_) => counts.files += number,
            }
        }
        counts
    }
}
