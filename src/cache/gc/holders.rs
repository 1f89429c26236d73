//! The records that keep objects: those of actions and those of checkpoints, and which of them are kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cache::gc::{Category, KeptStates, Uses};
use crate::cache::store::StoredObject;
use crate::cache::{ActionRecord, Cache, CacheError, CheckpointRecord, Pins};
use crate::key::{ActionKey, Digest, TrajectoryKey};

/// A record with what it names.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) file: RecordFile,
    kind: Kind,
    objects: Vec<Digest>,
    last_use: Timestamp,
    hold: Hold,
}

#[derive(Debug)]
pub(super) struct RecordFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    modified: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Action,
    Checkpoint,
}

/// How firmly a record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// It is to be removed.
    Gone,
    /// It is kept unless space is short.
    Loose,
    /// A run with a name used it.
    Named,
    /// A head or a run names it.
    Firm,
}

/// All records, and the objects that are kept besides.
#[derive(Debug)]
pub(super) struct Holders {
    all: Vec<Holder>,
    pins: Pins,
}

/// Which states the kept trainings want, how firmly, and when such a training was last used.
#[derive(Debug)]
struct Claims {
    kept: KeptStates,
    /// Those that there is a record of.
    present: BTreeSet<TrajectoryKey>,
    /// Those on the way of any kept training.
    mentioned: BTreeSet<TrajectoryKey>,
    wanted: BTreeMap<TrajectoryKey, (Hold, Timestamp)>,
}

impl Holder {
    pub(super) fn is_kept(&self) -> bool {
        self.hold != Hold::Gone
    }

    pub(super) fn category(&self) -> Category {
        match (self.kind, self.hold) {
            (Kind::Checkpoint, _) => Category::Checkpoints,
            (Kind::Action, Hold::Firm) => Category::LatestResults,
            (Kind::Action, Hold::Named) => Category::NamedResults,
            (Kind::Action, Hold::Loose | Hold::Gone) => Category::EarlierResults,
        }
    }
}

impl Holders {
    /// Reads all records. A record that cannot be understood keeps nothing: it is a miss already.
    pub(super) fn read(cache: &Cache, kept: KeptStates, uses: &Uses, too_old: &dyn Fn(Timestamp) -> bool) -> Result<Holders, CacheError> {
        let pins = cache.pins()?;
        let heads = head_keys(cache)?;
        let checkpoints = record_files(&cache.root.join("checkpoints"))?;
        let mut claims = Claims::new(kept, checkpoints.iter().filter_map(RecordFile::state_key).collect());
        let mut all = Vec::new();
        for file in record_files(&cache.root.join("actions"))? {
            let Some(record) = ActionRecord::read(&file.path)? else {
                all.push(file.unreadable(Kind::Action));
                continue;
            };
            let key = record.fingerprint.key();
            let last_use = file.modified.max(uses.last.get(&key).copied().unwrap_or(Timestamp::MIN));
            let hold = match () {
                () if heads.contains(&key) || pins.has_action(&key) => Hold::Firm,
                () if uses.named.contains(&key) => Hold::Named,
                () => by_age(too_old(last_use)),
            };
            claims.add(&record, (hold, last_use));
            let objects =
                record.outputs.values().map(|file| file.digest).chain(record.listings).chain(record.row_sources.into_values()).collect();
            all.push(Holder { file, kind: Kind::Action, objects, last_use, hold });
        }
        for file in checkpoints {
            all.push(checkpoint(file, &claims, &pins, too_old)?);
        }
        Ok(Holders { all, pins })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Holder> {
        self.all.iter()
    }

    /// Gives up what is kept loosely, the longest unused first, until records and objects take no more than `max_size` bytes.
    pub(super) fn shrink(&mut self, objects: &[StoredObject], max_size: u64) {
        let sizes: BTreeMap<Digest, u64> = objects.iter().map(|object| (object.digest, object.size)).collect();
        let mut namers: BTreeMap<Digest, usize> = BTreeMap::new();
        let kept = self.all.iter().filter(|holder| holder.is_kept());
        kept.flat_map(|holder| &holder.objects).for_each(|digest| *namers.entry(*digest).or_default() += 1);
        sizes.keys().filter(|digest| self.pins.has_object(digest)).for_each(|digest| *namers.entry(*digest).or_default() += 1);
        let records: u64 = self.all.iter().filter(|holder| holder.is_kept()).map(|holder| holder.file.bytes).sum();
        let mut size = records + namers.keys().filter_map(|digest| sizes.get(digest)).sum::<u64>();
        let mut loose: Vec<&mut Holder> = self.all.iter_mut().filter(|holder| holder.hold == Hold::Loose).collect();
        loose.sort_by_key(|holder| holder.last_use);
        for holder in loose {
            if size <= max_size {
                return;
            }
            holder.hold = Hold::Gone;
            size -= holder.file.bytes;
            for digest in &holder.objects {
                if let Some(count) = namers.get_mut(digest) {
                    *count -= 1;
                    size -= if *count == 0 { sizes.get(digest).copied().unwrap_or(0) } else { 0 };
                }
            }
        }
    }

    /// Every object that a record or a pin names: whether it is kept, and as what. The firmest holder decides.
    pub(super) fn named_objects(&self) -> BTreeMap<Digest, (bool, Category)> {
        let mut holders: Vec<&Holder> = self.all.iter().collect();
        holders.sort_by_key(|holder| Reverse(holder.hold));
        let mut named = BTreeMap::new();
        for holder in holders {
            for digest in &holder.objects {
                named.entry(*digest).or_insert((holder.is_kept(), holder.category()));
            }
        }
        named.extend(self.pins.objects().map(|digest| (*digest, (true, Category::LatestResults))));
        named
    }
}

fn checkpoint(file: RecordFile, claims: &Claims, pins: &Pins, too_old: &dyn Fn(Timestamp) -> bool) -> Result<Holder, CacheError> {
    let (Some(key), Some(record)) = (file.state_key(), CheckpointRecord::read(&file.path)?) else {
        return Ok(file.unreadable(Kind::Checkpoint));
    };
    let (hold, last_use) = match claims.wanted.get(&key) {
        _ if pins.has_state(&key) => (Hold::Firm, file.modified),
        Some((hold, last_use)) => (*hold, file.modified.max(*last_use)),
        None if claims.mentioned.contains(&key) => (Hold::Gone, file.modified),
        None => (by_age(too_old(file.modified)), file.modified),
    };
    Ok(Holder { file, kind: Kind::Checkpoint, objects: vec![record.object], last_use, hold })
}

impl RecordFile {
    fn state_key(&self) -> Option<TrajectoryKey> {
        self.path.file_stem()?.to_str()?.parse().ok()
    }

    fn unreadable(self, kind: Kind) -> Holder {
        let last_use = self.modified;
        Holder { file: self, kind, objects: Vec::new(), last_use, hold: Hold::Gone }
    }
}

impl Claims {
    fn new(kept: KeptStates, present: BTreeSet<TrajectoryKey>) -> Claims {
        Claims { kept, present, mentioned: BTreeSet::new(), wanted: BTreeMap::new() }
    }

    fn add(&mut self, record: &ActionRecord, claim: (Hold, Timestamp)) {
        if claim.0 == Hold::Gone {
            return;
        }
        self.mentioned.extend(&record.states);
        let mut there = record.states.iter().filter(|key| self.present.contains(*key));
        let wanted: Vec<&TrajectoryKey> = match self.kept {
            KeptStates::All => there.collect(),
            KeptStates::Last => there.next_back().into_iter().collect(),
            KeptStates::None => Vec::new(),
        };
        for key in wanted {
            let entry = self.wanted.entry(*key).or_insert(claim);
            *entry = (*entry).max(claim);
        }
    }
}

fn by_age(too_old: bool) -> Hold {
    if too_old { Hold::Gone } else { Hold::Loose }
}

/// The keys that the heads of all pipelines name.
fn head_keys(cache: &Cache) -> Result<BTreeSet<ActionKey>, CacheError> {
    let folder = cache.root.join("heads");
    let mut keys = BTreeSet::new();
    for entry in walkdir::WalkDir::new(&folder) {
        let entry = entry.map_err(|error| CacheError { path: folder.clone(), source: error.into() })?;
        let place = entry.path().strip_prefix(&folder).ok().and_then(Path::to_str);
        if let Some(place) = place.and_then(|place| place.strip_suffix(".json")) {
            keys.extend(cache.heads(place).into_values());
        }
    }
    Ok(keys)
}

fn record_files(folder: &Path) -> Result<Vec<RecordFile>, CacheError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(CacheError::io(folder))? {
        let entry = entry.map_err(CacheError::io(folder))?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let metadata = entry.metadata().map_err(CacheError::io(&path))?;
            files.push(RecordFile { path, bytes: metadata.len(), modified: modified(&metadata) });
        }
    }
    Ok(files)
}

/// When a file was written; a time that cannot be told counts as now or later, so that the file stays.
pub(super) fn modified(metadata: &Metadata) -> Timestamp {
    metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::MAX)
}
