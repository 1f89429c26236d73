//! The inputs of a stage as they are now: where they lie and the digest of their content.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use thiserror::Error;

use crate::cache::{ActionRecord, Cache, CacheError, FileIdentity};
use crate::key::{Digest, Listing, SourceFile, StageId};
use crate::manifest::{PipelineInput, PipelineInputSource, PipelineStage};
use crate::stage::{ArtifactType, ImageLocation, InputSource, InputUse, JobInput, PackedLocation, StageError, list_files, list_images};

/// The inputs of one stage.
#[derive(Debug, Default)]
pub struct GatheredInputs {
    /// By the input's name.
    pub digests: BTreeMap<String, Digest>,
    /// For the stage's job.
    pub job: BTreeMap<String, JobInput>,
    /// What is in folders and archives, whose digests are those of their listings.
    pub listings: BTreeMap<String, Listing>,
    /// The folders among them. Of an archive, its own identity tells whether it changed.
    folders: BTreeMap<String, ListedFolder>,
    /// Files from outside with the identities that they had before they were read.
    pub identities: Vec<(PathBuf, FileIdentity)>,
}

/// A folder and which of its files count.
#[derive(Debug)]
struct ListedFolder {
    root: PathBuf,
    files: FolderFiles,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FolderFiles {
    Images,
    All,
}

/// Why it cannot be said what a stage would do.
#[derive(Debug, Error)]
pub enum PlanError {
    #[error("stage {stage}: cannot read {path}: {source}", path = path.display())]
    Input { stage: StageId, path: PathBuf, source: io::Error },
    #[error("stage {stage}: {source}")]
    Listing { stage: StageId, source: StageError },
    #[error("stage {stage}: its parameters cannot be written as JSON: {source}")]
    Parameters { stage: StageId, source: serde_json::Error },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Gathers the inputs of a stage whose upstream stages have the given results.
///
/// `None` if an upstream result is not there.
pub fn gather(
    stage: &PipelineStage,
    upstream: &BTreeMap<StageId, ActionRecord>,
    cache: &Cache,
) -> Result<Option<GatheredInputs>, PlanError> {
    gather_by(stage, &|from, output| Some(upstream.get(from)?.outputs.get(output)?.digest), cache)
}

/// As [`gather`], with the digests of upstream outputs, which need not be there.
pub fn gather_by(
    stage: &PipelineStage,
    upstream: &dyn Fn(&StageId, &str) -> Option<Digest>,
    cache: &Cache,
) -> Result<Option<GatheredInputs>, PlanError> {
    let mut gathered = GatheredInputs::default();
    for input in &stage.inputs {
        match &input.source {
            PipelineInputSource::Output { stage: from, output } => {
                let Some(digest) = upstream(from, output) else { return Ok(None) };
                gathered.digests.insert(input.name.clone(), digest);
                gathered.job.insert(input.name.clone(), JobInput::File(cache.store().path(&digest)));
            }
            PipelineInputSource::File(path) => gathered.add_file(stage, input, path, cache)?,
            PipelineInputSource::ImageFolder(root) => gathered.add_images(stage, input, root, cache)?,
            PipelineInputSource::Folder(root) => {
                gathered.add_folder(stage, input, ListedFolder { root: root.clone(), files: FolderFiles::All }, cache)?;
            }
        }
    }
    Ok(Some(gathered))
}

impl GatheredInputs {
    /// How much data a stage of these inputs works through: images of folders, bytes of packed images and features.
    pub fn amount(&self, stage: &PipelineStage) -> u64 {
        let is_data = |input: &InputUse<'_>| match input.source {
            InputSource::ImageFolder(_) | InputSource::Folder(_) => true,
            _ => input.accepts.iter().any(|artifact| matches!(artifact, ArtifactType::Images | ArtifactType::Features)),
        };
        let size = |input: &InputUse<'_>| match self.job.get(&*input.name) {
            Some(JobInput::Folder { files, .. }) => files.len() as u64,
            Some(JobInput::File(path)) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            None => 0,
        };
        stage.spec.inputs().iter().filter(|input| is_data(input)).map(size).sum()
    }

    /// Files from outside that are no longer what they were when the inputs were gathered, and folders whose list of
    /// files changed.
    pub fn unstable(&self) -> Vec<PathBuf> {
        let changed = |(path, identity): &(PathBuf, FileIdentity)| FileIdentity::of(path).ok().as_ref() != Some(identity);
        let mut paths: Vec<PathBuf> = self.identities.par_iter().filter(|file| changed(file)).map(|(path, _)| path.clone()).collect();
        for (name, folder) in &self.folders {
            let now = folder.list().unwrap_or_default();
            if !self.listings.get(name).is_some_and(|listing| now.iter().eq(listing.files().iter().map(|file| &file.path))) {
                paths.push(folder.root.clone());
            }
        }
        paths
    }

    /// Whether a folder's or an archive's files are images, whatever else may be there.
    pub fn has_only_images(&self, input: &str) -> bool {
        self.folders.get(input).is_none_or(|folder| folder.files == FolderFiles::Images)
    }

    fn add_file(&mut self, stage: &PipelineStage, input: &PipelineInput, path: &Path, cache: &Cache) -> Result<(), PlanError> {
        let (digest, identity) = digest(stage, path, cache)?;
        self.digests.insert(input.name.clone(), digest);
        self.job.insert(input.name.clone(), JobInput::File(path.to_owned()));
        self.identities.push((path.to_owned(), identity));
        Ok(())
    }

    fn add_images(&mut self, stage: &PipelineStage, input: &PipelineInput, root: &Path, cache: &Cache) -> Result<(), PlanError> {
        match ImageLocation::find(root) {
            Some(ImageLocation::Packed(packed)) => self.add_listing(input, root, packed_files(stage, &packed, cache)?),
            _ => self.add_folder(stage, input, ListedFolder { root: root.to_owned(), files: FolderFiles::Images }, cache)?,
        }
        Ok(())
    }

    fn add_folder(&mut self, stage: &PipelineStage, input: &PipelineInput, folder: ListedFolder, cache: &Cache) -> Result<(), PlanError> {
        self.add_listing(input, &folder.root, folder_files(stage, &folder, cache)?);
        self.folders.insert(input.name.clone(), folder);
        Ok(())
    }

    fn add_listing(&mut self, input: &PipelineInput, root: &Path, (files, identities): FoundFiles) {
        let listing = Listing::new(files);
        self.digests.insert(input.name.clone(), listing.digest());
        self.job.insert(input.name.clone(), JobInput::Folder { root: root.to_owned(), files: listing.files().to_vec() });
        self.listings.insert(input.name.clone(), listing);
        self.identities.extend(identities);
    }
}

impl ListedFolder {
    fn list(&self) -> Result<Vec<String>, StageError> {
        match self.files {
            FolderFiles::Images => list_images(&self.root),
            FolderFiles::All => list_files(&self.root),
        }
    }
}

/// Files of a folder or an archive, and the files on disk that were read for them.
type FoundFiles = (Vec<SourceFile>, Vec<(PathBuf, FileIdentity)>);

fn folder_files(stage: &PipelineStage, folder: &ListedFolder, cache: &Cache) -> Result<FoundFiles, PlanError> {
    let paths = folder.list().map_err(|source| PlanError::Listing { stage: stage.id.clone(), source })?;
    let hash = |relative: String| {
        let path = folder.root.join(&relative);
        let (digest, identity) = digest(stage, &path, cache)?;
        Ok((SourceFile { path: relative, digest }, (path, identity)))
    };
    let hashed: Vec<_> = paths.into_par_iter().map(hash).collect::<Result<_, PlanError>>()?;
    Ok(hashed.into_iter().unzip())
}

/// The images in an archive. They count by their own content, as if they lay in a folder, so that packing files into an
/// archive changes no result; what an archive holds is remembered by the archive's content.
fn packed_files(stage: &PipelineStage, packed: &PackedLocation, cache: &Cache) -> Result<FoundFiles, PlanError> {
    let mut containers = Vec::new();
    let mut identities = Vec::new();
    for path in packed.files() {
        let (digest, identity) = digest(stage, path, cache)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        containers.push(SourceFile { path: name, digest });
        identities.push((path.clone(), identity));
    }
    let content = Listing::new(containers).digest();
    let all = match cache.packed_listing(&content) {
        Some(listing) => listing,
        None => {
            let files = packed.list_all(&cache.work_folder());
            let listing = Listing::new(files.map_err(|source| PlanError::Listing { stage: stage.id.clone(), source })?);
            cache.remember_packed_listing(&content, &listing)?;
            listing
        }
    };
    Ok((packed.select(all.files()), identities))
}

fn digest(stage: &PipelineStage, path: &Path, cache: &Cache) -> Result<(Digest, FileIdentity), PlanError> {
    let unreadable = |source| PlanError::Input { stage: stage.id.clone(), path: path.to_owned(), source };
    cache.memo().digest(path).map_err(unreadable)
}
