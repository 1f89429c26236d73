//! What most commands begin with: the manifest on the command line, its project and its cache.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cache::{Cache, Project, ReadAhead};
use crate::cli::error::CommandError;
use crate::cli::{Global, completions, profile, remote};
use crate::key::StageId;
use crate::manifest::{self, Family, Override, Profile, VariantFilter};
use crate::plan::{Plan, Selection};
use crate::preflight;
use crate::remote::Remote;

/// Which pipeline.
#[derive(Debug, Args)]
pub(super) struct ManifestArgs {
    /// The manifest
    #[arg(value_name = "MANIFEST", add = completions::manifests())]
    manifest: PathBuf,
    /// Set a parameter of the manifest; may be given several times
    #[arg(short, long = "param", value_name = "NAME=VALUE", add = completions::params())]
    param: Vec<Override>,
    /// Of a manifest with a matrix only the variants with these values; may be given several times
    #[arg(long, value_name = "NAME=VALUE,…", add = completions::variants())]
    variant: Vec<VariantFilter>,
}

/// Which stages of it.
#[derive(Debug, Args)]
pub(super) struct SelectionArgs {
    /// Only this stage: what it needs is reused, and has to be there; may be given several times
    #[arg(long, value_name = "STAGE", add = completions::stages())]
    only: Vec<StageId>,
    /// Only this stage and those that need it; may be given several times
    #[arg(long, value_name = "STAGE", add = completions::stages())]
    from: Vec<StageId>,
    /// Only this stage and those that it needs; may be given several times
    #[arg(long, value_name = "STAGE", add = completions::stages())]
    until: Vec<StageId>,
}

/// The variants of a manifest with the project that they belong to.
pub(super) struct Loaded {
    pub(super) family: Family,
    pub(super) project: Project,
    pub(super) profile: Option<Profile>,
    /// Where the profile was looked for, absolute; none if none is chosen.
    pub(super) profile_files: Vec<PathBuf>,
    /// Of the project's cache, what is read while the manifest is.
    ahead: ReadAhead,
}

/// The cache of the project that the current folder belongs to; an error if there is none.
pub(super) fn current_cache(global: &Global) -> Result<Cache, CommandError> {
    let current = current_folder()?;
    cache_of(&current, &current, global)
}

/// The remote cache that is set for the current folder.
pub(super) fn current_remote(global: &Global) -> Result<Option<Remote>, CommandError> {
    let current = current_folder()?;
    remote::chosen(global, profile::chosen(global, &current, &current)?.as_ref(), &current)
}

/// The cache of the project that a folder belongs to; an error if there is none.
pub(super) fn cache_of(folder: &Path, current: &Path, global: &Global) -> Result<Cache, CommandError> {
    let profile = profile::chosen(global, folder, current)?;
    let Project { state, .. } = Project::of(folder, profile::state_dir(global, profile.as_ref()));
    if !state.is_dir() {
        return Err(CommandError::NoCache { state });
    }
    Ok(Cache::open(&state)?)
}

/// Where the user stands.
pub(super) fn current_folder() -> io::Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "paths and runs on the command line are told from the current folder")]
    std::env::current_dir()
}

impl ManifestArgs {
    /// As if given on the command line, with all variants.
    pub(super) fn new(manifest: PathBuf, param: Vec<Override>) -> ManifestArgs {
        ManifestArgs { manifest, param, variant: Vec::new() }
    }

    /// The manifest's file, whether or not it is there.
    pub(super) fn file(&self) -> &Path {
        &self.manifest
    }

    /// Reads the manifest, with the profile if one is chosen, and finds its project.
    pub(super) fn unchecked(&self, global: &Global) -> Result<Loaded, CommandError> {
        self.read(global, |_| ReadAhead::default())
    }

    /// As [`Self::unchecked`], while `begin_ahead` has what will be needed of the project's cache read.
    fn read(&self, global: &Global, begin_ahead: impl FnOnce(&Project) -> ReadAhead) -> Result<Loaded, CommandError> {
        let current = current_folder()?;
        let file = manifest::absolute(&self.manifest, &current);
        let folder = file.parent().unwrap_or(Path::new("/"));
        let profile = profile::chosen(global, folder, &current)?;
        let profile_files = profile.iter().flat_map(|_| profile::files(folder, &current)).map(|file| current.join(file)).collect();
        let project = Project::of(folder, profile::state_dir(global, profile.as_ref()));
        let ahead = begin_ahead(&project);
        let family = match &profile {
            Some(profile) => profile.load(&self.manifest, &self.param)?,
            None => manifest::load(&self.manifest, &self.param, &current)?,
        };
        Ok(Loaded { family: family.select(&self.variant)?, project, profile, profile_files, ahead })
    }

    /// As [`Self::unchecked`]; an error for stages that cannot do together, as far as that needs no look at images.
    pub(super) fn load(&self, global: &Global) -> Result<Loaded, CommandError> {
        let loaded = self.read(global, |project| ReadAhead::begin(project.state.clone()))?;
        let conflicts = preflight::conflicts(&loaded.family);
        if conflicts.is_empty() { Ok(loaded) } else { Err(loaded.family.locate(&conflicts).into()) }
    }
}

impl SelectionArgs {
    /// The plans of every variant, as far as they are chosen.
    pub(super) fn plans<'a>(&self, loaded: &'a Loaded) -> Result<Vec<Plan<'a>>, CommandError> {
        let set = |stages: &[StageId]| stages.iter().cloned().collect();
        let selection = Selection { only: set(&self.only), from: set(&self.from), until: set(&self.until) };
        selection.named().try_for_each(|stage| loaded.check_stage(stage))?;
        let plans: Vec<_> = loaded.plans().into_iter().map(|plan| plan.select(&selection)).collect();
        if plans.iter().all(|plan| plan.stages().is_empty()) {
            return Err(CommandError::NothingChosen { pipeline: loaded.family.name.clone() });
        }
        Ok(plans)
    }
}

impl Loaded {
    /// Opens the project's cache.
    pub(super) fn cache(&self) -> Result<Cache, CommandError> {
        Ok(Cache::open_with(&self.project.state, self.ahead.clone())?)
    }

    /// The remote cache, if one is set.
    pub(super) fn remote(&self, global: &Global) -> Result<Option<Remote>, CommandError> {
        remote::chosen(global, self.profile.as_ref(), &current_folder()?)
    }

    /// The stages of every variant in order.
    pub(super) fn plans(&self) -> Vec<Plan<'_>> {
        self.family.variants.iter().map(Plan::new).collect()
    }

    /// An error if the pipeline has no such stage.
    pub(super) fn check_stage(&self, stage: &StageId) -> Result<(), CommandError> {
        let known: Vec<&StageId> =
            self.family.variants.first().into_iter().flat_map(|pipeline| &pipeline.stages).map(|stage| &stage.id).collect();
        if known.contains(&stage) {
            return Ok(());
        }
        Err(CommandError::UnknownStage {
            stage: stage.clone(),
            pipeline: self.family.name.clone(),
            known: known.into_iter().map(StageId::to_string).collect(),
        })
    }
}
