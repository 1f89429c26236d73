//! `packtrain cache status`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cache::{ActionRecord, Amount, Cache, Category, GcOutcome};
use crate::cli::cache::gc::PolicyArgs;
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, cache, project};
use crate::key::{ActionKey, Digest};
use crate::remote::{Remote, Watch};
use crate::report;

/// Show what the cache holds, how much `cache gc` would free, and how much of it the remote cache has
#[derive(Debug, Args)]
pub(super) struct CacheStatusArgs {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CacheStatusArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let cache = project::current_cache(global)?;
    let outcome = cache.alone()?.find_garbage(&args.policy.policy(), &cache::uses(&cache)?)?;
    let (gone, all) = (outcome.gone(), all(outcome));
    let shared = project::current_remote(global)?.map(|remote| Shared::ask(&remote, &cache)).transpose()?;
    let mut out = io::stdout().lock();
    if args.json {
        let mut told = json!({ "holds": all, "gc-would-remove": gone });
        if let Some(shared) = shared {
            told["remote"] = json!(shared);
        }
        writeln!(out, "{told:#}")?;
    } else {
        write!(out, "{}", cache::table(&all))?;
        writeln!(out, "`packtrain cache gc` would remove {} in {} files", report::bytes(gone.bytes), gone.files)?;
        shared.map_or(Ok(()), |shared| shared.tell(&mut out))?;
    }
    Ok(ExitCode::Success)
}

/// How much of the cache is at the remote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shared {
    location: String,
    results: usize,
    results_there: usize,
    /// Of results that are not there; what several of them share counts once.
    bytes_only_here: u64,
    /// Why it could not be asked.
    problem: Option<String>,
}

impl Shared {
    fn ask(remote: &Remote, cache: &Cache) -> Result<Shared, CommandError> {
        let records: BTreeMap<ActionKey, ActionRecord> =
            cache.actions()?.into_iter().map(|record| (record.fingerprint.key(), record)).collect();
        let watch = Watch { cancelled: &AtomicBool::new(false), progress: &|_| {} };
        let (there, problem) = match remote.has(&records.keys().copied().collect(), &watch) {
            Ok(there) => (there, None),
            Err(error) => (BTreeSet::new(), Some(error.to_string())),
        };
        let only_here = records.iter().filter(|(key, _)| !there.contains(key)).flat_map(|(_, record)| record.outputs.values());
        let only_here: BTreeMap<Digest, u64> = only_here.map(|file| (file.digest, file.size)).collect();
        Ok(Shared {
            location: remote.location().to_string(),
            results: records.len(),
            results_there: there.len(),
            bytes_only_here: only_here.values().sum(),
            problem,
        })
    }

    fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        let Shared { location, results, results_there, bytes_only_here, problem } = self;
        if let Some(problem) = problem {
            return writeln!(io::stderr(), "warning: {problem}");
        }
        writeln!(out, "the remote cache {location} has {results_there} of {results} results")?;
        match bytes_only_here {
            0 => Ok(()),
            bytes => writeln!(out, "`packtrain cache push --all` would give it the others, {}", report::bytes(*bytes)),
        }
    }
}

/// What would be kept and what would be removed together.
fn all(outcome: GcOutcome) -> BTreeMap<Category, Amount> {
    let mut all = outcome.kept;
    for (category, amount) in outcome.removed {
        let sum = all.entry(category).or_default();
        *sum = Amount { files: sum.files + amount.files, bytes: sum.bytes + amount.bytes };
    }
    all
}
