//! One look at everything but the content of objects, while no run looks at the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use walkdir::WalkDir;

use crate::cache::verify::objects::{ObjectsRead, is_damaged};
use crate::cache::verify::{Checked, Concern, Damage, Fate, Part, Problem, Verification};
use crate::cache::{ActionRecord, Cache, CacheError, CheckpointRecord, json};
use crate::key::{ActionKey, Digest, StageId, TrajectoryKey};

pub(super) struct Inspection<'a> {
    cache: &'a Cache,
    damaged: BTreeSet<Digest>,
    /// The stages whose latest result has a key.
    heads: BTreeMap<ActionKey, Vec<(String, StageId)>>,
    /// The results on whose way a state of a training lies.
    trainings: BTreeMap<TrajectoryKey, Vec<Concern>>,
    checked: Checked,
    /// By file.
    problems: BTreeMap<PathBuf, Problem>,
}

impl<'a> Inspection<'a> {
    pub(super) fn new(cache: &'a Cache, read: &ObjectsRead) -> Result<Inspection<'a>, CacheError> {
        let damaged = read.suspects.iter().copied().filter(|digest| is_damaged(cache, digest)).collect();
        let checked = Checked { objects: read.objects, bytes: read.bytes, objects_left_out: read.left_out, records: 0 };
        let (heads, trainings, problems) = Default::default();
        Ok(Inspection { cache, damaged, heads, trainings, checked, problems })
    }

    pub(super) fn finish(mut self) -> Result<Verification, CacheError> {
        self.heads()?;
        for path in files(&self.cache.root.join("actions"))? {
            self.action(&path)?;
        }
        for path in files(&self.cache.root.join("checkpoints"))? {
            self.checkpoint(&path)?;
        }
        self.listings()?;
        self.runs()?;
        if !self.cache.memo.is_sound() {
            self.add(&self.cache.root.join("index"), Damage::DamagedMemo, None);
        }
        for digest in self.damaged.clone() {
            self.add(&self.cache.store.path(&digest), Damage::DamagedObject { object: digest }, None);
        }
        Ok(Verification { checked: self.checked, problems: self.problems.into_values().collect() })
    }

    fn heads(&mut self) -> Result<(), CacheError> {
        let folder = self.cache.root.join("heads");
        for path in files(&folder)? {
            self.checked.records += 1;
            let place = path.strip_prefix(&folder).unwrap_or(&path).with_extension("").to_string_lossy().into_owned();
            match json::read::<BTreeMap<StageId, ActionKey>>(&path)? {
                Some(heads) => heads.into_iter().for_each(|(stage, key)| self.heads.entry(key).or_default().push((place.clone(), stage))),
                None => {
                    let concern = Concern { pipeline: Some(place), stage: None, key: None, part: Part::Result, is_latest: true };
                    self.add(&path, Damage::DamagedHeads, Some(concern));
                }
            }
        }
        Ok(())
    }

    fn action(&mut self, path: &Path) -> Result<(), CacheError> {
        self.checked.records += 1;
        let Some(key) = named::<ActionKey>(path) else {
            self.add(path, Damage::UnknownRecord, None);
            return Ok(());
        };
        let Some(record) = ActionRecord::read(path)?.filter(|record| record.fingerprint.key() == key) else {
            for concern in self.latest(key).collect::<Vec<_>>() {
                self.add(path, Damage::DamagedResult { key }, Some(concern));
            }
            self.add(path, Damage::DamagedResult { key }, None);
            return Ok(());
        };
        let concern = |part| Concern {
            pipeline: Some(record.provenance.pipeline.clone()),
            stage: Some(record.provenance.stage.clone()),
            key: Some(key),
            part,
            is_latest: self.heads.contains_key(&key),
        };
        let output = |(output, file): (&String, _)| (concern(Part::Output { output: output.clone() }), file);
        let outputs: Vec<_> = record.outputs.iter().map(output).collect();
        let listings = record.listings.iter().map(|object| (*object, concern(Part::Listing { object: *object })));
        let sources = record.row_sources.iter().map(|(output, digest)| (*digest, concern(Part::RowSources { output: output.clone() })));
        let others: Vec<_> = listings.chain(sources).collect();
        let whole = concern(Part::Result);
        for state in &record.states {
            self.trainings.entry(*state).or_default().push(whole.clone());
        }
        for (concern, file) in outputs {
            if self.size(&file.digest).is_some_and(|size| size != file.size) && !self.damaged.contains(&file.digest) {
                self.add(path, Damage::DamagedResult { key }, Some(whole.clone()));
            }
            self.object(file.digest, concern);
        }
        others.into_iter().for_each(|(object, concern)| self.object(object, concern));
        Ok(())
    }

    fn checkpoint(&mut self, path: &Path) -> Result<(), CacheError> {
        self.checked.records += 1;
        let Some(key) = named::<TrajectoryKey>(path) else {
            self.add(path, Damage::UnknownRecord, None);
            return Ok(());
        };
        let part = Part::Checkpoint { key };
        let of = |training: &Concern| Concern { part: part.clone(), ..training.clone() };
        let mut concerns: Vec<Concern> = self.trainings.get(&key).into_iter().flatten().map(of).collect();
        if concerns.is_empty() {
            concerns.push(Concern { pipeline: None, stage: None, key: None, part, is_latest: false });
        }
        let record = CheckpointRecord::read(path)?;
        for concern in concerns {
            match record {
                None => self.add(path, Damage::DamagedCheckpoint { key }, Some(concern)),
                Some(record) => self.object(record.object, concern),
            }
        }
        Ok(())
    }

    fn listings(&mut self) -> Result<(), CacheError> {
        let folder = self.cache.root.join("listings");
        if !folder.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&folder).map_err(CacheError::io(&folder))? {
            let path = entry.map_err(CacheError::io(&folder))?.path();
            let Some(content) = named::<Digest>(&path) else { continue };
            self.checked.records += 1;
            if !self.cache.is_listed(&content) {
                self.add(&path, Damage::DamagedListing, None);
            }
        }
        Ok(())
    }

    /// What they say is known to `record` alone; that nobody else wrote it is seen from their seals.
    fn runs(&mut self) -> Result<(), CacheError> {
        for path in files(&self.cache.runs())? {
            self.checked.records += 1;
            if json::read::<Map<String, Value>>(&path)?.is_none() {
                self.add(&path, Damage::DamagedRun, None);
            }
        }
        Ok(())
    }

    /// An object that a record names.
    fn object(&mut self, object: Digest, concern: Concern) {
        let path = self.cache.store.path(&object);
        if self.damaged.contains(&object) {
            self.add(&path, Damage::DamagedObject { object }, Some(concern));
        } else if self.size(&object).is_none() {
            self.add(&path, Damage::MissingObject { object }, Some(concern));
        }
    }

    fn size(&self, object: &Digest) -> Option<u64> {
        fs::metadata(self.cache.store.path(object)).ok().map(|metadata| metadata.len())
    }

    /// The latest results with a key, of which nothing but that is known.
    fn latest(&self, key: ActionKey) -> impl Iterator<Item = Concern> {
        let stages = self.heads.get(&key).into_iter().flatten();
        stages.map(move |(pipeline, stage)| Concern {
            pipeline: Some(pipeline.clone()),
            stage: Some(stage.clone()),
            key: Some(key),
            part: Part::Result,
            is_latest: true,
        })
    }

    fn add(&mut self, path: &Path, what: Damage, concern: Option<Concern>) {
        let file = path.strip_prefix(&self.cache.root).unwrap_or(path).to_owned();
        let new = Problem { file: file.clone(), what, concerns: Vec::new(), fate: Fate::Found };
        let concerns = &mut self.problems.entry(file).or_insert(new).concerns;
        concerns.extend(concern.filter(|concern| !concerns.contains(concern)));
    }
}

/// The records in a folder and those below it, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| CacheError { path: folder.to_owned(), source: error.into() })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|extension| extension == "json") {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// What a file's name stands for.
fn named<T: std::str::FromStr>(path: &Path) -> Option<T> {
    path.file_stem()?.to_str()?.parse().ok()
}
