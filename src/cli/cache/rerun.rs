//! Making lost results again, by running what once gave them.
//!
//! The latest run that gave or used a result tells its manifest. If that still says the same, it is run; else the manifest that the
//! run's record keeps. Results of earlier runs are made aside: what stands under `output/`, and which results are the latest, stays.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::cache::{Cache, Project, Verification};
use crate::cli::Global;
use crate::cli::error::CommandError;
use crate::cli::project::{Loaded, ManifestArgs};
use crate::cli::run::{Prepared, execute, reporter};
use crate::exec::{Outside, RunOptions, Stop};
use crate::key::{ActionKey, Fingerprint, StageId};
use crate::manifest::{Override, Portable};
use crate::plan::{Plan, Selection};
use crate::record::{RunRecord, Runs};
use crate::report;

/// A run that once gave or used results that are lost.
pub(super) struct Maker {
    record: RunRecord,
    keys: BTreeSet<ActionKey>,
    /// Whether one of them is the latest result of its stage.
    is_latest: bool,
}

/// The last run of each lost result, of the latest results and of those of runs with a name.
pub(super) fn makers(verification: &Verification, cache: &Cache) -> Result<Vec<Maker>, CommandError> {
    let runs = Runs::read(&cache.runs())?;
    let named = runs.named_uses();
    let lost = verification.lost_results();
    let latest: BTreeSet<ActionKey> = lost.iter().filter(|concern| concern.is_latest).filter_map(|concern| concern.key).collect();
    let mut wanted: BTreeSet<ActionKey> = lost.iter().filter_map(|concern| concern.key).filter(|key| named.contains(key)).collect();
    wanted.extend(&latest);
    let mut makers = Vec::new();
    for head in runs.heads() {
        if wanted.is_empty() {
            break;
        }
        // A record that cannot be read tells of no command.
        let Ok(record) = runs.record(head) else { continue };
        let keys: BTreeSet<ActionKey> = record.stages.iter().filter_map(|stage| stage.key).filter(|key| wanted.remove(key)).collect();
        if !keys.is_empty() {
            let is_latest = keys.iter().any(|key| latest.contains(key));
            makers.push(Maker { record, keys, is_latest });
        }
    }
    Ok(makers)
}

impl Maker {
    /// The command line of the run.
    pub(super) fn command(&self) -> Option<String> {
        report::command_line(&self.record.provenance.command)
    }

    /// Whether all results are there again.
    pub(super) fn is_whole(&self, cache: &Cache) -> Result<bool, CommandError> {
        for key in &self.keys {
            match cache.action(key)? {
                Some(record) if cache.lost_output(&record)?.is_none() => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// `pack and mean of fruit, of the run baseline`.
    pub(super) fn subject(&self) -> String {
        let stages = self.record.stages.iter().filter(|stage| self.has(stage.key));
        let stages: Vec<String> = stages.map(|stage| stage.stage.to_string()).collect();
        let run = if self.is_latest { String::new() } else { format!(", of the run {}", self.name()) };
        format!("{} of {}{run}", report::list(&stages), self.record.provenance.pipeline)
    }

    /// Runs the stages whose results are lost, and what they need of that is lost too.
    pub(super) fn rerun(&self, cache: &Cache, global: &Global, stop: &Stop) -> Result<(), CommandError> {
        let Some(mut loaded) = self.load(global)? else { return Ok(()) };
        let lock = cache.lock(&scratch_key(&self.record.id), "packtrain cache verify", |_| {})?;
        if !self.is_latest {
            loaded.project = Project { root: lock.scratch().to_owned(), state: loaded.project.state };
        }
        let options = RunOptions {
            device: loaded.profile.as_ref().and_then(|profile| profile.device).unwrap_or_default(),
            remote: loaded.remote(global)?.map(Arc::new),
            aside: !self.is_latest,
            ..RunOptions::default()
        };
        let prepared = Prepared { cache: loaded.cache()?, loaded, options };
        let plans = self.plans(&prepared.loaded);
        let mut reporter = reporter(false);
        let mut outside = Outside { emit: &mut |event| reporter.on_event(&event), stop };
        let executed = execute(&prepared, &plans, &self.record.provenance.command, &mut outside)?;
        if self.is_latest {
            executed.record.write(&cache.runs())?;
        }
        Ok(())
    }

    /// The manifest as it was for the run; `None` if no such manifest can be read any more.
    fn load(&self, global: &Global) -> Result<Option<Loaded>, CommandError> {
        let provenance = &self.record.provenance;
        let Some(portable) = &provenance.portable else { return Ok(None) };
        if let Some(loaded) = readable(self.as_now(global))? {
            let Portable { text, .. } = loaded.family.portable();
            if text == portable.text {
                return Ok(Some(loaded));
            }
        }
        let folder = provenance.manifest.parent().unwrap_or(Path::new("/"));
        let file = tempfile::Builder::new().prefix(".packtrain-").suffix(".yaml").tempfile_in(folder);
        let Ok(mut file) = file else { return Ok(None) };
        file.write_all(portable.text.as_bytes())?;
        // What lies elsewhere is named by its last name only in the text, but where it lay is known from the run.
        let place = |param: &&String| {
            provenance.params.get(*param).and_then(|value| value.as_str()).is_some_and(|value| Path::new(value).is_absolute())
        };
        let overrides = portable.inputs.keys().filter(place).filter_map(|param| self.setting(param)).collect();
        readable(ManifestArgs::new(file.path().to_owned(), overrides).load(global))
    }

    /// The manifest's file as it is now, with the values that the run was given.
    fn as_now(&self, global: &Global) -> Result<Loaded, CommandError> {
        let provenance = &self.record.provenance;
        let load = |overrides| ManifestArgs::new(provenance.manifest.clone(), overrides).load(global);
        let loaded = load(Vec::new())?;
        let Some(own) = loaded.family.variants.first().map(|pipeline| pipeline.params.clone()) else { return Ok(loaded) };
        let given = provenance.params.iter().filter(|(name, value)| own.get(*name).is_some_and(|own| own != *value));
        let overrides: Vec<Override> = given.filter_map(|(name, _)| self.setting(name)).collect();
        if overrides.is_empty() { Ok(loaded) } else { load(overrides) }
    }

    fn setting(&self, param: &str) -> Option<Override> {
        format!("{param}={}", self.record.provenance.params.get(param)?).parse().ok()
    }

    /// The variants of the run, as far as results of them are lost.
    fn plans<'a>(&self, loaded: &'a Loaded) -> Vec<Plan<'a>> {
        let lost = |plan: &Plan<'_>| -> BTreeSet<StageId> {
            let of_plan = self.record.stages.iter().filter(|stage| stage.stage == plan.pipeline.stage_path(&stage.stage.stage));
            of_plan.filter(|stage| self.has(stage.key)).map(|stage| stage.stage.stage.clone()).collect()
        };
        let chosen = loaded.plans().into_iter().map(|plan| (lost(&plan), plan)).filter(|(lost, _)| !lost.is_empty());
        chosen.map(|(until, plan)| plan.select(&Selection { until, ..Selection::default() })).collect()
    }

    fn has(&self, key: Option<ActionKey>) -> bool {
        key.is_some_and(|key| self.keys.contains(&key))
    }

    fn name(&self) -> String {
        self.record.name.as_ref().map_or(self.record.id.clone(), ToString::to_string)
    }
}

/// A manifest that is not there any more, or is not valid, is no reason to fail.
fn readable(loaded: Result<Loaded, CommandError>) -> Result<Option<Loaded>, CommandError> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(CommandError::Manifest(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn scratch_key(run: &str) -> ActionKey {
    let parameters = serde_json::Value::from(run);
    Fingerprint { kind: "rerun".to_owned(), version: 1, parameters, inputs: Default::default(), seed: None }.key()
}
