//! All runs of a project, as their records tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use rayon::prelude::*;
use serde::Deserialize;

use crate::event::RunOutcome;
use crate::key::ActionKey;
use crate::record::{FORMAT, Label, LogReader, RunProvenance, RunRecord, log};

/// The runs in a folder of records. Records that cannot be read are passed over.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    folder: PathBuf,
    /// The latest first.
    heads: Vec<RunHead>,
    /// Those that go on, the latest first.
    running: Vec<RunHead>,
}

/// What tells a run from others; the rest of its record is not kept in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct RunHead {
    pub id: String,
    pub name: Option<Label>,
    pub tags: BTreeSet<Label>,
    /// `None` for a run that goes on or was cut off.
    pub outcome: Option<RunOutcome>,
    pub is_running: bool,
    pub pipeline: String,
    pub manifest: PathBuf,
    pub started: Timestamp,
}

/// The parts of a record's text that a head is made of.
#[derive(Deserialize)]
struct Written {
    format: u32,
    id: String,
    #[serde(default)]
    name: Option<Label>,
    #[serde(default)]
    tags: BTreeSet<Label>,
    outcome: Option<RunOutcome>,
    provenance: WrittenProvenance,
}

#[derive(Deserialize)]
struct WrittenProvenance {
    pipeline: String,
    manifest: PathBuf,
    started: String,
}

impl Runs {
    /// The runs whose records lie in this folder, which need not exist.
    pub fn read(folder: &Path) -> io::Result<Runs> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Runs::default()),
            entries => entries?.collect::<io::Result<Vec<_>>>()?,
        };
        let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        let logs: Vec<RunHead> = paths.iter().filter(|path| log::is_log(path)).filter_map(|path| RunHead::of_log(path)).collect();
        let mut heads: Vec<RunHead> = paths.into_par_iter().filter(is_record).filter_map(|path| RunHead::read(&path)).collect();
        // The record of a run that ended just now takes the place of its log.
        let fresh: Vec<RunHead> = logs.into_iter().filter(|log| heads.iter().all(|head| head.id != log.id)).collect();
        heads.extend(fresh);
        Ok(Runs { folder: folder.to_owned(), ..Runs::new(heads) })
    }

    pub(super) fn new(mut heads: Vec<RunHead>) -> Runs {
        heads.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        let (running, heads) = heads.into_iter().partition(|head| head.is_running);
        Runs { folder: PathBuf::new(), heads, running }
    }

    /// Those that are over, the latest first.
    pub fn heads(&self) -> &[RunHead] {
        &self.heads
    }

    /// Those that go on, the latest first.
    pub fn running(&self) -> &[RunHead] {
        &self.running
    }

    /// The whole record of a run; of one that goes on or was cut off, as far as it came.
    pub fn record(&self, head: &RunHead) -> io::Result<RunRecord> {
        let path = self.path(head);
        match LogReader::open(&self.folder, &head.id)? {
            Some(log) if !path.exists() => log.into_record(),
            _ => RunRecord::read(&path),
        }
    }

    fn path(&self, head: &RunHead) -> PathBuf {
        self.folder.join(format!("{}.json", head.id))
    }

    /// When each action was last used by a run: that run's start.
    pub fn last_uses(&self) -> BTreeMap<ActionKey, Timestamp> {
        let mut uses: BTreeMap<ActionKey, Timestamp> = BTreeMap::new();
        for (head, key) in self.keys(|_| true) {
            let last = uses.entry(key).or_insert(head.started);
            *last = head.started.max(*last);
        }
        uses
    }

    /// The actions of the runs that have a name.
    pub fn named_uses(&self) -> BTreeSet<ActionKey> {
        self.keys(|head| head.name.is_some()).into_iter().map(|(_, key)| key).collect()
    }

    /// Of damaged records too, as far as they can be read: what a named run used is not to be lost with a bit of its record.
    fn keys(&self, of: impl Fn(&RunHead) -> bool + Sync) -> Vec<(&RunHead, ActionKey)> {
        let read = |head: &RunHead| match fs::read(self.path(head)) {
            Ok(written) => serde_json::from_slice::<RunRecord>(&written).ok(),
            Err(_) => self.record(head).ok(),
        };
        let records = self.heads.par_iter().filter(|head| of(head)).filter_map(|head| Some((head, read(head)?)));
        records.flat_map_iter(|(head, record)| record.stages.into_iter().filter_map(move |stage| Some((head, stage.key?)))).collect()
    }
}

impl RunHead {
    fn read(path: &Path) -> Option<RunHead> {
        let written: Written = serde_json::from_slice(&fs::read(path).ok()?).ok().filter(|written: &Written| written.format == FORMAT)?;
        let Written { id, name, tags, outcome, provenance: WrittenProvenance { pipeline, manifest, started }, .. } = written;
        Some(RunHead { id, name, tags, outcome, is_running: false, pipeline, manifest, started: started.parse().ok()? })
    }

    fn of_log(path: &Path) -> Option<RunHead> {
        let log = LogReader::open_file(path).ok()??;
        let is_running = log.is_held().ok()?;
        let RunRecord { id, name, tags, outcome, provenance, .. } = log.beginning().clone();
        let RunProvenance { pipeline, manifest, started, .. } = provenance;
        Some(RunHead { id, name, tags, outcome, is_running, pipeline, manifest, started: started.parse().ok()? })
    }
}
