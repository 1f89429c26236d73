//! Taking away what cannot be used: records first, then the objects that nothing names any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cache::store::{remove_file, sync_folder};
use crate::cache::verify::{Concern, Damage, Fate, Part, Problem};
use crate::cache::{Cache, CacheError, Pins};
use crate::key::{ActionKey, Digest};

pub(super) fn repair(cache: &Cache, problems: &mut [Problem]) -> Result<(), CacheError> {
    let pins = cache.pins()?;
    let mut gone = Vec::new();
    for problem in problems.iter_mut() {
        if is_in_use(problem, &pins) {
            problem.fate = Fate::InUse;
            continue;
        }
        gone.extend(unname(cache, problem)?);
        problem.fate = Fate::Repaired;
    }
    gone.iter().try_for_each(|path| remove_file(path))?;
    let folders: BTreeSet<&Path> = gone.iter().filter_map(|path| path.parent()).collect();
    folders.into_iter().try_for_each(sync_folder)?;
    for problem in problems.iter().filter(|problem| problem.fate == Fate::Repaired) {
        if let Damage::DamagedObject { object } = problem.what {
            cache.store.remove(&object)?;
        }
    }
    Ok(())
}

/// Whether a run that is away will come back to it. What cannot be read is of no use to it either.
fn is_in_use(problem: &Problem, pins: &Pins) -> bool {
    let (Damage::DamagedObject { object } | Damage::MissingObject { object }) = problem.what else { return false };
    let is_pinned = |concern: &Concern| match &concern.part {
        Part::Checkpoint { key } => pins.has_state(key),
        _ => concern.key.is_some_and(|key| pins.has_action(&key)),
    };
    pins.has_object(&object) || problem.concerns.iter().any(is_pinned)
}

/// The records to remove. Those that can be used without what is lost are written anew at once.
fn unname(cache: &Cache, problem: &Problem) -> Result<Vec<PathBuf>, CacheError> {
    let (Damage::DamagedObject { .. } | Damage::MissingObject { .. }) = problem.what else {
        return Ok(vec![cache.root.join(&problem.file)]);
    };
    let mut gone = Vec::new();
    for Concern { key, part, .. } in &problem.concerns {
        match (part, key) {
            (Part::Output { .. } | Part::Result, Some(key)) => gone.push(cache.root.join("actions").join(format!("{key}.json"))),
            (Part::Checkpoint { key }, _) => gone.push(cache.root.join("checkpoints").join(format!("{key}.json"))),
            (Part::Listing { object }, Some(key)) => without_listing(cache, key, object)?,
            (Part::RowSources { output }, Some(key)) => without_row_sources(cache, key, output)?,
            (_, None) => {}
        }
    }
    Ok(gone)
}

fn without_listing(cache: &Cache, key: &ActionKey, object: &Digest) -> Result<(), CacheError> {
    let Some(mut record) = cache.action(key)? else { return Ok(()) };
    record.listings.retain(|listing| listing != object);
    cache.publish(&record)
}

fn without_row_sources(cache: &Cache, key: &ActionKey, output: &str) -> Result<(), CacheError> {
    let Some(mut record) = cache.action(key)? else { return Ok(()) };
    record.row_sources.remove(output);
    cache.publish(&record)
}
