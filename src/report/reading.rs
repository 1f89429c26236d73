//! How far the reading of many files is, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on standard error, gone when it is dropped; nothing where that is no terminal.
#[derive(Debug)]
pub struct ReadingBar(ProgressBar);

const BAR: &str = "{prefix:.bold}  {bar:28} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec:.dim}, {eta} left";

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
