//! The inputs of a stage as they are now: where they lie and the digest of their content.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cache::{ActionRecord, Cache, CacheError, FileIdentity};
use crate::key::{Digest, Listing, SourceFile, StageId};
use crate::manifest::{PipelineInput, PipelineInputSource, PipelineStage};
use crate::stage::{ArtifactType, FolderFiles, ImageLocation, InputSource, InputUse, JobInput, PackedLocation, StageError, look_at_files};

/// The inputs of one stage.
#[derive(Debug, Default)]
pub struct GatheredInputs {
    /// By the input's name.
    pub digests: BTreeMap<String, Digest>,
    /// Where each lies: a file of the store or from outside, a folder, an archive.
    places: BTreeMap<String, PathBuf>,
    /// What is in folders and archives, whose digests are those of their listings.
    pub listings: BTreeMap<String, Listing>,
    /// The folders among them. Of an archive, its own identity tells whether it changed.
    folders: BTreeMap<String, ListedFolder>,
    /// Files from outside, those of folders left out, with the identities that they had before they were read.
    identities: Vec<(PathBuf, FileIdentity)>,
}

/// A folder, which of its files count, and the identities that these had before they were read, in the order of the listing.
#[derive(Debug)]
struct ListedFolder {
    root: PathBuf,
    files: FolderFiles,
    identities: Vec<FileIdentity>,
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
                gathered.places.insert(input.name.clone(), cache.store().path(&digest));
            }
            PipelineInputSource::File(path) => gathered.add_file(stage, input, path, cache)?,
            PipelineInputSource::ImageFolder(root) => gathered.add_images(stage, input, root, cache)?,
            PipelineInputSource::Folder(root) => {
                gathered.add_folder(stage, input, (root, FolderFiles::All), cache)?;
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
        let size = |input: &InputUse<'_>| match (self.listings.get(&*input.name), self.places.get(&*input.name)) {
            (Some(listing), _) => listing.files().len() as u64,
            (None, Some(path)) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            (None, None) => 0,
        };
        stage.spec.inputs().iter().filter(|input| is_data(input)).map(size).sum()
    }

    /// For the stage's job.
    pub fn job(&self) -> BTreeMap<String, JobInput> {
        let input = |(name, place): (&String, &PathBuf)| {
            let given = match self.listings.get(name) {
                Some(listing) => JobInput::Folder { root: place.clone(), files: listing.files().to_vec() },
                None => JobInput::File(place.clone()),
            };
            (name.clone(), given)
        };
        self.places.iter().map(input).collect()
    }

    /// Where an input lies that is one file; `None` of a folder or an archive.
    pub fn file(&self, name: &str) -> Option<&Path> {
        self.places.get(name).filter(|_| !self.listings.contains_key(name)).map(PathBuf::as_path)
    }

    /// The size that a file from outside had before it was read.
    pub fn size(&self, path: &Path) -> Option<u64> {
        self.identities.iter().find(|(known, _)| known == path).map(|(_, identity)| identity.size)
    }

    /// Files from outside that are no longer what they were when the inputs were gathered, and folders whose list of
    /// files changed.
    pub fn unstable(&self) -> Vec<PathBuf> {
        let changed = |(path, identity): &&(PathBuf, FileIdentity)| FileIdentity::of(path).ok().as_ref() != Some(identity);
        let mut paths: Vec<PathBuf> = self.identities.iter().filter(changed).map(|(path, _)| path.clone()).collect();
        for (name, folder) in &self.folders {
            let listed = self.listings.get(name).map_or(&[][..], Listing::files);
            paths.extend(folder.unstable(listed));
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
        self.places.insert(input.name.clone(), path.to_owned());
        self.identities.push((path.to_owned(), identity));
        Ok(())
    }

    fn add_images(&mut self, stage: &PipelineStage, input: &PipelineInput, root: &Path, cache: &Cache) -> Result<(), PlanError> {
        match ImageLocation::find(root) {
            Some(ImageLocation::Packed(packed)) => {
                let (files, identities) = packed_files(stage, &packed, cache)?;
                self.identities.extend(identities);
                self.add_listing(input, root, files);
                Ok(())
            }
            _ => self.add_folder(stage, input, (root, FolderFiles::Images), cache),
        }
    }

    fn add_folder(
        &mut self,
        stage: &PipelineStage,
        input: &PipelineInput,
        (root, files): (&Path, FolderFiles),
        cache: &Cache,
    ) -> Result<(), PlanError> {
        let found = look_at_files(root, files, |file| cache.memo().digest_found(file));
        let found = found.map_err(|source| PlanError::Listing { stage: stage.id.clone(), source })?;
        let (listed, identities) = found.into_iter().map(|(path, (digest, identity))| (SourceFile { path, digest }, identity)).unzip();
        self.add_listing(input, root, listed);
        self.folders.insert(input.name.clone(), ListedFolder { root: root.to_owned(), files, identities });
        Ok(())
    }

    fn add_listing(&mut self, input: &PipelineInput, root: &Path, files: Vec<SourceFile>) {
        let listing = Listing::new(files);
        self.digests.insert(input.name.clone(), listing.digest());
        self.places.insert(input.name.clone(), root.to_owned());
        self.listings.insert(input.name.clone(), listing);
    }
}

impl ListedFolder {
    /// The files that are no longer what they were; if there are others now, the folder.
    fn unstable(&self, listed: &[SourceFile]) -> Vec<PathBuf> {
        let now = look_at_files(&self.root, self.files, FileIdentity::of_found).unwrap_or_default();
        if !now.iter().map(|(path, _)| path).eq(listed.iter().map(|file| &file.path)) {
            return vec![self.root.clone()];
        }
        let changed = now.iter().zip(&self.identities).filter(|((_, now), then)| now != *then);
        changed.map(|((path, _), _)| self.root.join(path)).collect()
    }
}

/// Files in an archive, and the files on disk that were read for them.
type FoundFiles = (Vec<SourceFile>, Vec<(PathBuf, FileIdentity)>);

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
