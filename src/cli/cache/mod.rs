//! `packtrain cache`: what the state folder holds, and making room.

mod gc;
mod size;
mod status;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::cache::{Amount, Cache, Category, Project};
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, profile};
use crate::key::ActionKey;
use crate::record;
use crate::report::{self, Table};

/// See what the cache of the project holds, and make room in it
#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    Status(status::CacheStatusArgs),
    Gc(gc::GcArgs),
}

pub(super) fn run(args: &CacheArgs, global: &Global) -> Result<ExitCode, CommandError> {
    match &args.command {
        CacheCommand::Status(args) => status::run(args, global),
        CacheCommand::Gc(args) => gc::run(args, global),
    }
}

/// The cache of the project that the current folder belongs to; an error if there is none.
fn open(global: &Global) -> Result<Cache, CommandError> {
    #[expect(clippy::disallowed_methods, reason = "these commands are about the project that the user stands in")]
    let current = std::env::current_dir()?;
    let profile = profile::chosen(global, &current, &current)?;
    let Project { state, .. } = Project::of(&current, profile::state_dir(global, profile.as_ref()));
    if !state.is_dir() {
        return Err(CommandError::NoCache { state });
    }
    Ok(Cache::open(&state)?)
}

/// When the project's runs last used each result.
fn last_uses(cache: &Cache) -> Result<BTreeMap<ActionKey, Timestamp>, CommandError> {
    Ok(record::last_uses(&cache.runs())?)
}

/// A row for every kind of file.
fn table(amounts: &BTreeMap<Category, Amount>) -> Table {
    let mut table = Table::with_header(["what", "files", "size"]);
    for (category, Amount { files, bytes }) in amounts {
        table.push([words(*category).to_owned(), files.to_string(), report::bytes(*bytes)]);
    }
    table
}

fn words(category: Category) -> &'static str {
    match category {
        Category::LatestResults => "latest results",
        Category::EarlierResults => "earlier results",
        Category::Checkpoints => "checkpoints",
        Category::UnnamedObjects => "objects without a record",
        Category::ArchiveListings => "listings of archives",
        Category::RunRecords => "run records",
        Category::Bookkeeping => "bookkeeping",
        Category::Leftovers => "scratch and temporary files",
    }
}
