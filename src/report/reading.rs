//! How far the reading of many files is, or a job beside all runs, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::event::StageEvent;

/// How far a job is that runs beside all runs: a bar on standard error, gone when it is dropped; nothing where that is no terminal.
#[derive(Debug)]
pub struct JobBar(ProgressBar);

/// A bar on standard error, gone when it is dropped; nothing where that is no terminal.
#[derive(Debug)]
pub struct ReadingBar(ProgressBar);

const BAR: &str = "{prefix:.bold}  {bar:28} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec:.dim}, {eta} left";

const JOB: &str = "{prefix:.bold}  {bar:28} {pos}/{len} {msg}  {per_sec:.dim}, {eta} left";

impl JobBar {
    /// Nothing done yet.
    pub fn new() -> JobBar {
        let style = ProgressStyle::with_template(JOB).unwrap_or_else(|_| ProgressStyle::default_bar());
        JobBar(ProgressBar::no_length().with_style(style))
    }

    /// Shows the progress that the job tells of.
    pub fn hear(&self, said: &StageEvent) {
        let StageEvent::Progress { activity, done, total, unit } = said else { return };
        if self.0.prefix() != *activity {
            self.0.reset();
            self.0.set_prefix(activity.clone());
            self.0.set_message(unit.as_str());
        }
        self.0.set_length(*total);
        self.0.set_position(*done);
    }
}

impl Default for JobBar {
    fn default() -> JobBar {
        JobBar::new()
    }
}

impl Drop for JobBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl ReadingBar {
    /// A bar with what is done before it: `reading objects`.
    pub fn new(activity: &'static str) -> ReadingBar {
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        ReadingBar(ProgressBar::no_length().with_style(style).with_prefix(activity))
    }

    /// So many bytes more of `total` are read.
    pub fn advance(&self, bytes: u64, total: u64) {
        self.0.set_length(total);
        self.0.inc(bytes);
    }
}

impl Drop for ReadingBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
