//! `packtrain cache`: what the state folder holds, whether it is sound, and making room.

mod gc;
mod size;
mod status;
mod verify;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use crate::cache::{Amount, Cache, Category, Uses};
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global};
use crate::record::Runs;
use crate::report::{self, Table};

/// See what the cache of the project holds, check it, and make room in it
#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    Status(status::CacheStatusArgs),
    Gc(gc::GcArgs),
    Verify(verify::VerifyArgs),
}

pub(super) fn run(args: &CacheArgs, global: &Global) -> Result<ExitCode, CommandError> {
    match &args.command {
        CacheCommand::Status(args) => status::run(args, global),
        CacheCommand::Gc(args) => gc::run(args, global),
        CacheCommand::Verify(args) => verify::run(args, global),
    }
}

/// What the records of the project's runs say of results.
fn uses(cache: &Cache) -> Result<Uses, CommandError> {
    let runs = Runs::read(&cache.runs())?;
    Ok(Uses { last: runs.last_uses(), named: runs.named_uses() })
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
        Category::NamedResults => "results of named runs",
        Category::EarlierResults => "earlier results",
        Category::Checkpoints => "checkpoints",
        Category::UnnamedObjects => "objects without a record",
        Category::Listings => "listings of archives and packed images",
        Category::RunRecords => "run records",
        Category::Bookkeeping => "bookkeeping",
        Category::Leftovers => "scratch and temporary files",
    }
}
