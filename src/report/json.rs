//! A run as JSON, one event a line.

use std::io::Write;

use crate::event::RunEvent;
use crate::report::Reporter;

/// Writes every event.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> JsonLines<W> {
        JsonLines { out }
    }
}

impl<W: Write> Reporter for JsonLines<W> {
    fn on_event(&mut self, event: &RunEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            // A reader that has gone away is no reason to stop a run.
            drop(writeln!(self.out, "{line}").and_then(|()| self.out.flush()));
        }
    }
}
