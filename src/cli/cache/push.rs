//! `packtrain cache push`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;

use crate::cache::{ActionRecord, Cache};
use crate::cli::error::CommandError;
use crate::cli::run::stop_by_signal;
use crate::cli::scope::{Scope, is_manifest};
use crate::cli::{ExitCode, Global, completions, project};
use crate::key::{ActionKey, TrajectoryKey};
use crate::record::{RunRecord, RunReference};
use crate::remote::{PushOptions, Pushed, Watch};
use crate::report::{self, ReadingBar};

/// Give results to the remote cache, from which others take them instead of running stages
///
/// What is there already is not sent again. A push that was cut off goes on where it was when it is repeated.
#[derive(Debug, Args)]
pub(super) struct PushArgs {
    /// A run, or a manifest for the latest run of its pipeline; by default the last run
    #[arg(value_name = "RUN|MANIFEST", add = completions::runs(), conflicts_with = "all")]
    of: Option<String>,
    /// Every result of the cache
    #[arg(long)]
    all: bool,
    /// Give the last kept state of each training too, from which others can train on; with `--all` every state
    #[arg(long)]
    checkpoints: bool,
    /// Send also what is there already, because it was found damaged there
    #[arg(long)]
    anew: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &PushArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let remote = project::current_remote(global)?.ok_or(CommandError::NoRemote("give to"))?;
    let (cache, records) = args.records(global)?;
    let stay = cache.stay()?;
    let checkpoints = if args.checkpoints { args.states(&records, &cache)? } else { Vec::new() };
    let total = records.iter().flat_map(|record| record.outputs.values()).map(|file| file.size).sum();
    let stop = stop_by_signal()?;
    let bar = ReadingBar::new("sending");
    let watch = Watch { cancelled: stop.cancelled(), progress: &|bytes| bar.advance(bytes, total) };
    let pushed = remote.push(&records, &PushOptions { checkpoints, anew: args.anew }, (&cache, &stay), &watch)?;
    drop(bar);
    cache.memo().save()?;
    let mut out = io::stdout().lock();
    if args.json {
        let told = serde_json::to_string_pretty(&pushed).map_err(io::Error::from)?;
        writeln!(out, "{told}")?;
    } else {
        tell(&pushed, &remote.location().to_string(), &mut out)?;
    }
    Ok(if pushed.results_lost == 0 { ExitCode::Success } else { ExitCode::Storage })
}

impl PushArgs {
    /// What is to be given.
    fn records(&self, global: &Global) -> Result<(Cache, Vec<ActionRecord>), CommandError> {
        if self.all {
            let cache = project::current_cache(global)?;
            let records = cache.actions()?;
            return Ok((cache, records));
        }
        let scope = match &self.of {
            Some(of) if is_manifest(of) => Scope::of(of, global)?,
            _ => Scope::here(global)?,
        };
        let reference = self.of.as_deref().filter(|of| !is_manifest(of)).unwrap_or("last");
        let Ok(reference) = reference.parse::<RunReference>();
        let keys = keys(&scope.find(&reference)?);
        let records: Result<Vec<Option<ActionRecord>>, _> = keys.iter().map(|key| scope.cache.action(key)).collect();
        let records = records?.into_iter().flatten().collect();
        Ok((scope.cache, records))
    }

    /// Of each training the last state that is here.
    fn states(&self, records: &[ActionRecord], cache: &Cache) -> Result<Vec<TrajectoryKey>, CommandError> {
        if self.all {
            return Ok(cache.checkpoints()?);
        }
        let mut states = BTreeSet::new();
        for record in records {
            for key in record.states.iter().rev() {
                if cache.checkpoint(key)?.is_some() {
                    states.insert(*key);
                    break;
                }
            }
        }
        Ok(states.into_iter().collect())
    }
}

fn keys(record: &RunRecord) -> BTreeSet<ActionKey> {
    record.stages.iter().filter_map(|stage| stage.key).collect()
}

fn tell(pushed: &Pushed, remote: &str, out: &mut dyn Write) -> io::Result<()> {
    let Pushed { results, results_known, results_lost, checkpoints, checkpoints_known, objects, bytes, .. } = *pushed;
    writeln!(out, "gave {} in {}, {}, to {remote}", counted(results, "result"), counted(objects, "file"), report::bytes(bytes))?;
    if checkpoints + checkpoints_known > 0 {
        writeln!(out, "gave {}; {checkpoints_known} were there already", counted(checkpoints, "state of trainings"))?;
    }
    if results_known > 0 {
        writeln!(out, "{} there already", are(results_known, "result"))?;
    }
    if results_lost > 0 {
        writeln!(
            out,
            "{} not given, because files are lost or damaged here; `packtrain cache verify` tells which",
            are(results_lost, "result")
        )?;
    }
    Ok(())
}

fn counted(count: u64, what: &str) -> String {
    let plural = match what.split_once(' ') {
        _ if count == 1 => what.to_owned(),
        Some((first, rest)) => format!("{first}s {rest}"),
        None => format!("{what}s"),
    };
    format!("{count} {plural}")
}

fn are(count: u64, what: &str) -> String {
    format!("{} {}", counted(count, what), if count == 1 { "was" } else { "were" })
}
