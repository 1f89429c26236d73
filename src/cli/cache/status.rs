//! `packtrain cache status`.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use crate::cache::{Amount, Category, GcOutcome};
use crate::cli::cache::gc::PolicyArgs;
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, cache, project};
use crate::report;

/// Show what the cache holds, and how much `cache gc` would free
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
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "holds": all, "gc-would-remove": gone }))?;
    } else {
        write!(out, "{}", cache::table(&all))?;
        writeln!(out, "`packtrain cache gc` would remove {} in {} files", report::bytes(gone.bytes), gone.files)?;
    }
    Ok(ExitCode::Success)
}

/// What would be kept and what would be removed together.
fn all(outcome: GcOutcome) -> std::collections::BTreeMap<Category, Amount> {
    let mut all = outcome.kept;
    for (category, amount) in outcome.removed {
        let sum = all.entry(category).or_default();
        *sum = Amount { files: sum.files + amount.files, bytes: sum.bytes + amount.bytes };
    }
    all
}
