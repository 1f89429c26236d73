//! A run as plain lines, for logs and pipes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::event::{RunEvent, StageEvent};
use crate::key::StagePath;
use crate::report::{Reporter, phrase, write_changes};

/// How often a long activity says how far it is.
const INTERVAL: Duration = Duration::from_secs(10);

/// Writes a line for everything but progress, which is told now and then.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    /// When each running stage last said how far it is.
    told: BTreeMap<StagePath, Instant>,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Lines<W> {
        Lines { out, told: BTreeMap::new() }
    }

    fn say(&mut self, line: &str) {
        // A reader that has gone away is no reason to stop a run.
        drop(writeln!(self.out, "{line}"));
    }

    fn hear(&mut self, stage: &StagePath, said: &StageEvent) {
        match said {
            StageEvent::Progress { activity, done, total, unit } => {
                if self.told.get(stage).is_none_or(|told| told.elapsed() >= INTERVAL) {
                    self.told.insert(stage.clone(), Instant::now());
                    self.say(&format!("{stage}  {activity}: {done}/{total} {}", unit.as_str()));
                }
            }
            StageEvent::Epoch(metrics) => self.say(&format!("{stage}  {}", phrase::epoch(metrics))),
            StageEvent::Warning { message } => self.say(&format!("{stage}  warning: {message}")),
            StageEvent::Note { message } => self.say(&format!("{stage}  {message}")),
            StageEvent::EpochSoFar { .. } | StageEvent::Checkpoint { .. } | StageEvent::Metric { .. } => {}
        }
    }
}

impl<W: Write> Reporter for Lines<W> {
    fn on_event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Stage { stage, said } => self.hear(stage, said),
            RunEvent::StageWaiting { stage, holder } => self.say(&format!("{stage}  waiting for {holder}")),
            RunEvent::StageStarted { stage, changes, .. } => {
                self.told.insert(stage.clone(), Instant::now());
                self.say(&format!("{stage}  running: {}", write_changes(changes)));
            }
            _ => {}
        }
        if let Some(line) = phrase::ending(event) {
            self.say(&line);
        }
        if let RunEvent::StageFinished(result) = event {
            phrase::remarks(result).iter().for_each(|remark| self.say(remark));
        }
    }
}
