//! The list of runs, and how it changes.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use crate::record::{LogReader, RunHead};
use crate::report::{ListedRun, Part, RunList};
use crate::ui::tail::Tail;
use crate::ui::{Site, UiError};

/// No more runs are listed.
const MOST: usize = 100;

/// Follows the list for one reader.
#[derive(Debug, Default)]
pub(super) struct ListFollower {
    runs: Vec<ListedRun>,
    earlier: usize,
    /// The logs of those that go on.
    tails: BTreeMap<String, Tail>,
    /// When the folder of records changed before they were read.
    read: Option<SystemTime>,
    /// The parts of the page as the reader has them.
    sent: Vec<Part>,
}

impl ListFollower {
    pub(super) fn page(&mut self, site: &Site, stream: &str) -> Result<String, UiError> {
        self.catch_up(site)?;
        Ok(self.list(site).served(stream))
    }

    /// The parts that are not as the reader has them.
    pub(super) fn step(&mut self, site: &Site) -> Result<Vec<Part>, UiError> {
        self.catch_up(site)?;
        let parts = self.list(site).parts();
        let changed = parts.iter().filter(|part| !self.sent.contains(part)).cloned().collect();
        self.sent = parts;
        Ok(changed)
    }

    fn list<'a>(&'a self, site: &'a Site) -> RunList<'a> {
        RunList { runs: &self.runs, earlier: self.earlier, pipeline: site.pipeline.as_deref() }
    }

    fn catch_up(&mut self, site: &Site) -> Result<(), UiError> {
        let folder = site.cache.runs();
        let changed = fs::metadata(&folder).and_then(|metadata| metadata.modified()).map_err(site.unreadable())?;
        let mut has_died = false;
        for (id, tail) in &mut self.tails {
            has_died |= !tail.catch_up().map_err(site.unreadable())?.is_held;
            if let Some(listed) = self.runs.iter_mut().find(|listed| listed.record.id == *id) {
                listed.record.clone_from(&tail.run.record);
            }
        }
        if self.read != Some(changed) || has_died {
            self.read = Some(changed);
            self.read(site)?;
        }
        Ok(())
    }

    fn read(&mut self, site: &Site) -> Result<(), UiError> {
        let runs = site.runs()?;
        let is_about = |head: &&RunHead| site.pipeline.as_ref().is_none_or(|pipeline| head.pipeline == *pipeline);
        let heads: Vec<&RunHead> = runs.running().iter().chain(runs.heads()).filter(is_about).collect();
        self.earlier = heads.len().saturating_sub(MOST);
        self.runs.clear();
        let mut tails = BTreeMap::new();
        for head in heads.into_iter().take(MOST) {
            let log = if head.is_running { LogReader::open(&site.cache.runs(), &head.id).map_err(site.unreadable())? } else { None };
            let record = match log {
                Some(log) => {
                    let mut tail = self.tails.remove(&head.id).unwrap_or_else(|| Tail::new(log));
                    tail.catch_up().map_err(site.unreadable())?;
                    let record = tail.run.record.clone();
                    tails.insert(head.id.clone(), tail);
                    record
                }
                None => runs.record(head).map_err(site.unreadable())?,
            };
            self.runs.push(ListedRun { record, is_running: head.is_running });
        }
        self.tails = tails;
        Ok(())
    }
}
