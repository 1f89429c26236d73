//! `packtrain name` and `packtrain tag`, and the same for a run that begins.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, completions, project};
use crate::record::{Label, RunRecord, RunReference, Runs};

/// How a run is called, given when it begins.
#[derive(Debug, Args)]
pub(super) struct LabelArgs {
    /// Give the run a name, by which other commands take it; its results are kept from `cache gc`
    #[arg(long)]
    name: Option<Label>,
    /// Give the run a tag, which many runs may have; may be given several times
    #[arg(long)]
    tag: Vec<Label>,
}

/// Give a run a name, by which every command takes it
///
/// The results of a run that has a name are kept from `cache gc`.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    /// The run: an id or the beginning of one, a name, `last`, `last~1`
    #[arg(value_name = "RUN", add = completions::runs())]
    run: RunReference,
    /// The name: letters, digits, `-`, `_` and `.`, beginning with a letter
    #[arg(value_name = "NAME", required_unless_present = "remove")]
    name: Option<Label>,
    /// Take the run's name away
    #[arg(long, conflicts_with = "name")]
    remove: bool,
}

/// Give a run tags, to find runs that belong together
#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// The run: an id or the beginning of one, a name, `last`, `last~1`
    #[arg(value_name = "RUN", add = completions::runs())]
    run: RunReference,
    /// The tags: letters, digits, `-`, `_` and `.`, beginning with a letter
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<Label>,
    /// Take these tags away
    #[arg(long)]
    remove: bool,
}

impl LabelArgs {
    /// An error if another run has the name.
    pub(super) fn check(&self, cache: &Cache) -> Result<(), CommandError> {
        self.name.as_ref().map_or(Ok(()), |name| check_free(name, None, &Runs::read(&cache.runs())?))
    }

    /// Writes the record of a run that has ended, with its name and tags; without the name if another run took it meanwhile.
    pub(super) fn write(&self, record: &mut RunRecord, cache: &Cache) -> Result<(), CommandError> {
        record.tags = self.tag.iter().cloned().collect();
        let Some(name) = &self.name else {
            record.write(&cache.runs())?;
            return Ok(());
        };
        let _alone = cache.alone()?;
        match check_free(name, None, &Runs::read(&cache.runs())?) {
            Ok(()) => record.name = Some(name.clone()),
            Err(taken) => writeln!(io::stderr(), "warning: the run has no name: {taken}")?,
        }
        record.write(&cache.runs())?;
        Ok(())
    }
}

pub(super) fn run(args: &NameArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let record = change(&args.run, global, |record, runs| {
        args.name.as_ref().map_or(Ok(()), |name| check_free(name, Some(&record.id), runs))?;
        record.name.clone_from(&args.name);
        Ok(())
    })?;
    let mut out = io::stdout().lock();
    match &record.name {
        Some(name) => writeln!(out, "{} of {} is now `{name}`", record.id, record.provenance.pipeline)?,
        None => writeln!(out, "{} of {} has no name", record.id, record.provenance.pipeline)?,
    }
    Ok(ExitCode::Success)
}

pub(super) fn run_tag(args: &TagArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let record = change(&args.run, global, |record, _| {
        let tags: BTreeSet<Label> = args.tags.iter().cloned().collect();
        record.tags = if args.remove { &record.tags - &tags } else { &record.tags | &tags };
        Ok(())
    })?;
    let tags: Vec<&str> = record.tags.iter().map(Label::as_str).collect();
    let tags = if tags.is_empty() { "no tags".to_owned() } else { format!("the tags {}", tags.join(", ")) };
    writeln!(io::stdout(), "{} of {} has {tags}", record.id, record.provenance.pipeline)?;
    Ok(ExitCode::Success)
}

/// Changes the record of a run, while no other process changes any.
fn change(
    reference: &RunReference,
    global: &Global,
    change: impl FnOnce(&mut RunRecord, &Runs) -> Result<(), CommandError>,
) -> Result<RunRecord, CommandError> {
    let cache = project::current_cache(global)?;
    let _alone = cache.alone()?;
    let runs = Runs::read(&cache.runs())?;
    let head = runs.find(reference, None)?;
    if head.is_running {
        return Err(CommandError::StillRunning { run: head.id.clone(), pipeline: head.pipeline.clone() });
    }
    let mut record = runs.record(head)?;
    change(&mut record, &runs)?;
    record.write(&cache.runs())?;
    Ok(record)
}

/// An error if a run other than `own` has the name.
fn check_free(name: &Label, own: Option<&str>, runs: &Runs) -> Result<(), CommandError> {
    match runs.named(name.as_str()).filter(|head| own != Some(head.id.as_str())) {
        Some(head) => Err(CommandError::NameTaken { name: name.clone(), run: head.id.clone(), pipeline: head.pipeline.clone() }),
        None => Ok(()),
    }
}
