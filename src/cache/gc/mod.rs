//! What nobody needs any more in the state folder, and taking it away.
//!
//! | what | kept |
//! |---|---|
//! | results | those that a head names, those that a run is using, and those of runs with a name; others until they have not been used for a while |
//! | checkpoints | those that a kept training could go on from; others, of trainings without a result, for that while too |
//! | objects | those that a kept result or checkpoint names |
//! | listings of archives and of packed images | for that while |
//! | run records, heads, the memo | always |
//!
//! Only what a run can make again is removed. Of two that may go, the one that was not used for longer goes first if space is
//! short; heads never do. Records are gone for good before the objects that they name are touched, so that a collection which
//! is cut off leaves whole truths. No run looks at the cache meanwhile, and what those that go on will come back to is pinned
//! (`stay.rs`).

mod files;
mod holders;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cache::gc::files::{Fate, StrayFile};
use crate::cache::gc::holders::Holders;
use crate::cache::store::{StoredObject, remove_file, sync_folder};
use crate::cache::{Alone, Cache, CacheError};
use crate::key::ActionKey;

/// What to keep of what is not needed.
#[derive(Debug, Clone)]
pub struct GcPolicy {
    /// For how long something that nobody needs is kept after it was last used.
    pub older_than: SignedDuration,
    /// The most bytes that the state folder may take, as far as that can be reached.
    pub max_size: Option<u64>,
    pub states: KeptStates,
}

/// Which checkpoints of the trainings whose results are kept are kept too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeptStates {
    #[default]
    All,
    /// The last one of each, from which it goes on with more epochs.
    Last,
    None,
}

/// What a file of the state folder is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Results that a head names or a run is using, with their objects.
    LatestResults,
    /// Other results of runs that have a name, with their objects.
    NamedResults,
    /// Other results, with their objects.
    EarlierResults,
    Checkpoints,
    /// Objects that nothing names.
    UnnamedObjects,
    /// What archives and packed images hold.
    Listings,
    RunRecords,
    /// Heads, memo and lock.
    Bookkeeping,
    /// Of processes that were killed: scratch folders and temporary files.
    Leftovers,
}

/// How much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub files: u64,
    pub bytes: u64,
}

/// What a collection removed and left, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GcOutcome {
    pub removed: BTreeMap<Category, Amount>,
    pub kept: BTreeMap<Category, Amount>,
    /// Of the bytes removed, those that are not free yet, because an output folder links to them.
    pub still_linked: u64,
}

/// What the records of runs say of actions.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    /// When each was last used.
    pub last: BTreeMap<ActionKey, Timestamp>,
    /// Those of runs that have a name.
    pub named: BTreeSet<ActionKey>,
}

impl Alone<'_> {
    /// Removes what nobody needs.
    pub fn collect_garbage(&self, policy: &GcPolicy, uses: &Uses) -> Result<GcOutcome, CacheError> {
        let garbage = Garbage::find(self.cache(), policy, uses)?;
        garbage.remove_records()?;
        garbage.remove_rest(self.cache())?;
        Ok(garbage.outcome)
    }

    /// Says what [`Alone::collect_garbage`] would do.
    pub fn find_garbage(&self, policy: &GcPolicy, uses: &Uses) -> Result<GcOutcome, CacheError> {
        Ok(Garbage::find(self.cache(), policy, uses)?.outcome)
    }
}

/// What is to be removed.
#[derive(Debug, Default)]
struct Garbage {
    records: Vec<PathBuf>,
    /// Objects, listings and temporary files.
    rest: Vec<PathBuf>,
    outcome: GcOutcome,
}

impl Garbage {
    fn find(cache: &Cache, policy: &GcPolicy, uses: &Uses) -> Result<Garbage, CacheError> {
        let too_old = |last_use: Timestamp, age: SignedDuration| Timestamp::now().duration_since(last_use) >= age;
        let objects = cache.store().all()?;
        let strays = files::strays(cache, &|file, age| too_old(file, age.unwrap_or(policy.older_than)))?;
        let mut holders = Holders::read(cache, policy.states, uses, &|last_use| too_old(last_use, policy.older_than))?;
        if let Some(max_size) = policy.max_size {
            let others = strays.iter().filter(|file| file.fate == Fate::Stays).map(|file| file.bytes).sum();
            holders.shrink(&objects, max_size.saturating_sub(others));
        }
        let mut garbage = Garbage::default();
        garbage.sort_records(&holders);
        garbage.sort_objects(&holders, objects);
        strays.into_iter().for_each(|file| garbage.sort_stray(file));
        Ok(garbage)
    }

    fn sort_records(&mut self, holders: &Holders) {
        for holder in holders.iter() {
            self.count(holder.is_kept(), holder.category(), holder.file.bytes);
            if !holder.is_kept() {
                self.records.push(holder.file.path.clone());
            }
        }
    }

    fn sort_objects(&mut self, holders: &Holders, objects: Vec<StoredObject>) {
        let named = holders.named_objects();
        for object in objects {
            let (kept, category) = named.get(&object.digest).copied().unwrap_or((false, Category::UnnamedObjects));
            self.count(kept, category, object.size);
            if !kept {
                self.outcome.still_linked += if object.is_linked { object.size } else { 0 };
                self.rest.push(object.path);
            }
        }
    }

    fn sort_stray(&mut self, file: StrayFile) {
        self.count(file.fate == Fate::Stays, file.category, file.bytes);
        if file.fate == Fate::IsRemoved {
            self.rest.push(file.path);
        }
    }

    fn count(&mut self, kept: bool, category: Category, bytes: u64) {
        let side = if kept { &mut self.outcome.kept } else { &mut self.outcome.removed };
        let amount = side.entry(category).or_default();
        amount.files += 1;
        amount.bytes += bytes;
    }

    /// Nothing names what is to be removed after this, even if the power fails.
    fn remove_records(&self) -> Result<(), CacheError> {
        self.records.iter().try_for_each(|path| remove_file(path))?;
        let mut folders: Vec<&Path> = self.records.iter().filter_map(|path| path.parent()).collect();
        folders.dedup();
        folders.into_iter().try_for_each(sync_folder)
    }

    fn remove_rest(&self, cache: &Cache) -> Result<(), CacheError> {
        self.rest.iter().try_for_each(|path| remove_file(path))?;
        files::sweep(cache)
    }
}

impl GcOutcome {
    /// Everything that is gone, whose bytes are free but for [`GcOutcome::still_linked`].
    pub fn gone(&self) -> Amount {
        Amount::sum(self.removed.values())
    }

    /// Everything that is left.
    pub fn left(&self) -> Amount {
        Amount::sum(self.kept.values())
    }
}

impl Amount {
    fn sum<'a>(amounts: impl Iterator<Item = &'a Amount>) -> Amount {
        amounts.fold(Amount::default(), |sum, amount| Amount { files: sum.files + amount.files, bytes: sum.bytes + amount.bytes })
    }
}

impl std::str::FromStr for KeptStates {
    type Err = String;

    fn from_str(text: &str) -> Result<KeptStates, String> {
        match text {
            "all" => Ok(KeptStates::All),
            "last" => Ok(KeptStates::Last),
            "none" => Ok(KeptStates::None),
            other => Err(format!("`{other}` is none of all, last and none")),
        }
    }
}

#[cfg(test)]
mod tests;
