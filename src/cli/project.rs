//! What most commands begin with: the manifest on the command line, its project and its cache.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cache::{Cache, Project};
use crate::cli::Global;
use crate::cli::error::CommandError;
use crate::key::StageId;
use crate::manifest::{self, Family, Override, VariantFilter};
use crate::plan::Plan;

/// Which pipeline.
#[derive(Debug, Args)]
pub(super) struct ManifestArgs {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Set a parameter of the manifest; may be given several times
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    param: Vec<Override>,
    /// Of a manifest with a matrix only the variants with these values; may be given several times
    #[arg(long, value_name = "NAME=VALUE,…")]
    variant: Vec<VariantFilter>,
}

/// The variants of a manifest with the project that they belong to.
pub(super) struct Loaded {
    pub(super) family: Family,
    pub(super) project: Project,
}

impl ManifestArgs {
    /// Reads the manifest and nothing else.
    pub(super) fn family(&self) -> Result<Family, CommandError> {
        #[expect(clippy::disallowed_methods, reason = "paths on the command line are relative to the current folder")]
        let current = std::env::current_dir()?;
        Ok(manifest::load(&self.manifest, &self.param, &current)?.select(&self.variant)?)
    }

    /// Reads the manifest and finds its project.
    pub(super) fn load(&self, global: &Global) -> Result<Loaded, CommandError> {
        let family = self.family()?;
        let folder = family.manifest.parent().unwrap_or(Path::new("/"));
        let project = Project::of(folder, global.state_dir.clone());
        Ok(Loaded { family, project })
    }
}

impl Loaded {
    /// Opens the project's cache.
    pub(super) fn cache(&self) -> Result<Cache, CommandError> {
        Ok(Cache::open(&self.project.state)?)
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
