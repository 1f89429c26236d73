//! A run that goes on, as its events tell it: the record so far, how far each running stage is, and the lines of its log.

use std::collections::{BTreeMap, VecDeque};

use crate::event::RunEvent;
use crate::key::StagePath;
use crate::record::{LoggedEvent, RunRecord};
use crate::report::course::Course;
use crate::report::phrase;

/// As many lines of the log are shown.
const MOST_LINES: usize = 200;

/// What is known of a run that goes on.
#[derive(Debug, Clone)]
pub struct LiveRun {
    pub record: RunRecord,
    pub(super) courses: BTreeMap<StagePath, Course>,
    /// The latest last.
    pub(super) lines: VecDeque<LogLine>,
}

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogLine {
    /// In seconds after the run's beginning.
    pub(super) at: f64,
    pub(super) text: String,
}

impl LiveRun {
    /// A run that had come so far.
    pub fn new(record: RunRecord) -> LiveRun {
        LiveRun { record, courses: BTreeMap::new(), lines: VecDeque::new() }
    }

    /// Takes in the next event.
    pub fn hear(&mut self, LoggedEvent { at, event }: &LoggedEvent) {
        self.record.apply(event);
        self.record.seconds = self.record.seconds.max(*at);
        match event {
            RunEvent::StageStarted { stage, .. } => drop(self.courses.insert(stage.clone(), Course::new(*at))),
            RunEvent::Stage { stage, said } => {
                if let Some(course) = self.courses.get_mut(stage) {
                    course.hear(said, *at);
                }
            }
            RunEvent::StageReused(result) | RunEvent::StageFinished(result) => drop(self.courses.remove(&result.stage)),
            RunEvent::StageFailed { stage, .. } | RunEvent::StageSuperseded { stage, .. } => drop(self.courses.remove(stage)),
            _ => {}
        }
        self.lines.extend(phrase::lines(event).into_iter().map(|text| LogLine { at: *at, text }));
        self.lines.drain(..self.lines.len().saturating_sub(MOST_LINES));
    }
}
