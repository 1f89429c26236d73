//! Which runs a command is about: those of the project that the user stands in or of a manifest's, all or those of one pipeline.

use std::io::{self, Write};
use std::path::Path;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::{Global, completions, project};
use crate::manifest::{self, Outline};
use crate::nearest::nearest;
use crate::record::{RunHead, RunRecord, RunReference, Runs};

/// The runs of a project.
pub(super) struct Scope {
    pub(super) cache: Cache,
    pub(super) runs: Runs,
    /// The only one that is of interest.
    pub(super) pipeline: Option<String>,
}

impl Scope {
    /// Of the project of the current folder.
    pub(super) fn here(global: &Global) -> Result<Scope, CommandError> {
        let cache = project::current_cache(global)?;
        Ok(Scope { runs: Runs::read(&cache.runs())?, cache, pipeline: None })
    }

    /// Of a manifest, or of a pipeline of the current folder's project; an error for one that never ran.
    pub(super) fn of(named: &str, global: &Global) -> Result<Scope, CommandError> {
        if is_manifest(named) {
            return Scope::of_manifest(Path::new(named), global);
        }
        let scope = Scope::here(global)?;
        let pipelines = || scope.runs.heads().iter().chain(scope.runs.running()).map(|head| head.pipeline.as_str());
        if pipelines().any(|pipeline| pipeline == named) {
            return Ok(Scope { pipeline: Some(named.to_owned()), ..scope });
        }
        Err(CommandError::UnknownPipeline { named: named.to_owned(), meant: nearest(named, pipelines()).map(str::to_owned) })
    }

    /// Of the pipeline of a manifest, which need not be valid.
    pub(super) fn of_manifest(path: &Path, global: &Global) -> Result<Scope, CommandError> {
        let current = project::current_folder()?;
        let outline = Outline::read(path, &current);
        let path = manifest::absolute(path, &current);
        let Some(outline) = outline else { return Err(CommandError::NoManifest { path }) };
        let cache = project::cache_of(path.parent().unwrap_or(&current), &current, global)?;
        let runs = Runs::read(&cache.runs())?;
        // What a name with parameters becomes is only known from a run.
        let recorded = runs.heads().iter().chain(runs.running()).find(|head| head.manifest == path).filter(|_| outline.name.contains("${"));
        let pipeline = recorded.map_or(outline.name, |head| head.pipeline.clone());
        Ok(Scope { runs, cache, pipeline: Some(pipeline) })
    }

    /// The runs of interest that are over, the latest first.
    pub(super) fn heads(&self) -> impl Iterator<Item = &RunHead> {
        self.runs.heads().iter().filter(|head| self.is_about(head))
    }

    /// Those of interest that go on, the latest first.
    pub(super) fn running(&self) -> impl Iterator<Item = &RunHead> {
        self.runs.running().iter().filter(|head| self.is_about(head))
    }

    fn is_about(&self, head: &RunHead) -> bool {
        self.pipeline.as_ref().is_none_or(|pipeline| head.pipeline == *pipeline)
    }

    /// The records of runs. One that is damaged is told and passed over.
    pub(super) fn records<'a>(&self, heads: impl Iterator<Item = &'a RunHead>) -> io::Result<Vec<RunRecord>> {
        let mut records = Vec::new();
        for head in heads {
            match self.runs.record(head) {
                Ok(record) => records.push(record),
                Err(damaged) if damaged.kind() == io::ErrorKind::InvalidData => writeln!(io::stderr(), "warning: {damaged}")?,
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// The record of a run that the user names.
    pub(super) fn find(&self, reference: &RunReference) -> Result<RunRecord, CommandError> {
        Ok(self.runs.record(self.runs.find(reference, self.pipeline.as_deref())?)?)
    }
}

/// Whether a word of the command line names a manifest, and no run, pipeline or stage.
pub(super) fn is_manifest(word: &str) -> bool {
    completions::is_yaml(Path::new(word))
}
