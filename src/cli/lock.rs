//! `packtrain lock`, and what `--locked` reads.

use std::io::{self, Write};

use clap::Args;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::{ExitCode, Global};
use crate::lockfile::Lockfile;
use crate::plan::Plan;

/// Pin what every stage takes and gives, by digest, in a text file beside the manifest
///
/// The file is made to live in git and to be read in a diff. Every stage has to have its result.
#[derive(Debug, Args)]
pub(super) struct LockArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

/// Whether to keep to the lock.
#[derive(Debug, Args)]
pub(super) struct LockedArgs {
    /// Keep to the lock beside the manifest: fail at the first input, key or output that is not as `packtrain lock` has pinned it
    #[arg(long)]
    locked: bool,
}

pub(super) fn run(args: &LockArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    let cache = loaded.cache()?;
    let path = Lockfile::path_of(args.manifest.file());
    let lock = Lockfile::take(&loaded.plans(), &cache, path.clone())?;
    cache.memo().save()?;
    let (count, path) = (lock.stage_count(), path.display());
    let mut out = io::stdout().lock();
    match lock.write()? {
        true => writeln!(out, "wrote {path}: {count} stages")?,
        false => writeln!(out, "{path} says so already: {count} stages")?,
    }
    Ok(ExitCode::Success)
}

impl LockedArgs {
    /// The lock to keep to, if one is; an error if what is known before a run differs from it.
    pub(super) fn check(&self, manifest: &ManifestArgs, plans: &[Plan<'_>], cache: &Cache) -> Result<Option<Lockfile>, CommandError> {
        if !self.locked {
            return Ok(None);
        }
        let lock = Lockfile::read(&Lockfile::path_of(manifest.file()))?;
        lock.check_before(plans, cache)?;
        Ok(Some(lock))
    }
}
