//! A run as plain lines, for logs and pipes.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::event::{RunEvent, StageEvent};
use crate::key::StagePath;
use crate::report::{Reporter, phrase};

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
        // One write a line, so that those of several processes do not run together. A reader that has gone away is no reason to stop a run.
        drop(self.out.write_all(format!("{line}\n").as_bytes()));
    }

    /// Now and then.
    fn tell_progress(&mut self, stage: &StagePath, said: &StageEvent) {
        let StageEvent::Progress { activity, done, total, unit } = said else { return };
        if self.told.get(stage).is_none_or(|told| told.elapsed() >= INTERVAL) {
            self.told.insert(stage.clone(), Instant::now());
            self.say(&format!("{stage}  {activity}: {done}/{total} {}", unit.as_str()));
        }
    }
}

impl<W: Write> Reporter for Lines<W> {
    fn on_event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Stage { stage, said } => self.tell_progress(stage, said),
            RunEvent::StageStarted { stage, .. } => drop(self.told.insert(stage.clone(), Instant::now())),
            _ => {}
        }
        phrase::lines(event).iter().for_each(|line| self.say(line));
    }
}
