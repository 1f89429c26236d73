//! What most commands begin with: the manifest on the command line, its project and its cache.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cache::{Cache, Project};
use crate::cli::Global;
use crate::cli::error::CommandError;
use crate::key::StageId;
use crate::manifest::{self, Override, Pipeline};

/// Which pipeline.
#[derive(Debug, Args)]
pub(super) struct ManifestArgs {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Set a parameter of the manifest; may be given several times
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    param: Vec<Override>,
}

/// A pipeline with the project that it belongs to.
pub(super) struct Loaded {
    pub(super) pipeline: Pipeline,
    pub(super) project: Project,
}

impl ManifestArgs {
    /// Reads the manifest and nothing else.
    pub(super) fn pipeline(&self) -> Result<Pipeline, CommandError> {
        #[expect(clippy::disallowed_methods, reason = "paths on the command line are relative to the current folder")]
        let current = std::env::current_dir()?;
        Ok(manifest::load(&self.manifest, &self.param, &current)?)
    }

    /// Reads the manifest and finds its project.
    pub(super) fn load(&self, global: &Global) -> Result<Loaded, CommandError> {
        let pipeline = self.pipeline()?;
        let folder = pipeline.manifest.parent().unwrap_or(Path::new("/"));
        let project = Project::of(folder, global.state_dir.clone());
        Ok(Loaded { pipeline, project })
    }
}

impl Loaded {
    /// Opens the project's cache.
    pub(super) fn cache(&self) -> Result<Cache, CommandError> {
        Ok(Cache::open(&self.project.state)?)
    }

    /// An error if the pipeline has no such stage.
    pub(super) fn check_stage(&self, stage: &StageId) -> Result<(), CommandError> {
        if self.pipeline.stages.iter().any(|known| known.id == *stage) {
            return Ok(());
        }
        Err(CommandError::UnknownStage {
            stage: stage.clone(),
            pipeline: self.pipeline.name.clone(),
            known: self.pipeline.stages.iter().map(|stage| stage.id.to_string()).collect(),
        })
    }
}
