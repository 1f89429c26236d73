//! The log of a run, read as it grows.

use std::io;

use crate::event::RunEvent;
use crate::record::LogReader;
use crate::report::LiveRun;

/// A run that goes on, as far as it was read.
#[derive(Debug)]
pub(super) struct Tail {
    log: LogReader,
    pub(super) run: LiveRun,
}

/// What was read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caught {
    /// Whether the run's process lived before it was read: else all is read.
    pub(super) is_held: bool,
    /// Whether a stage has given a result.
    pub(super) has_results: bool,
}

impl Tail {
    pub(super) fn new(log: LogReader) -> Tail {
        Tail { run: LiveRun::new(log.beginning().clone()), log }
    }

    /// Reads what was written since the last time.
    pub(super) fn catch_up(&mut self) -> io::Result<Caught> {
        let mut caught = Caught { is_held: self.log.is_held()?, has_results: false };
        while let Some(logged) = self.log.next_event()? {
            caught.has_results |= matches!(logged.event, RunEvent::StageReused(_) | RunEvent::StageFinished(_));
            self.run.hear(&logged);
        }
        Ok(caught)
    }
}
