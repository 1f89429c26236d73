//! Events and records made readable: bars on a terminal, lines elsewhere, JSON for machines, tables at the end, a page to hand on.
//!
//! Works from events, records, dossiers and comparisons alone; a saved record can be shown as well as a running one.

mod bars;
mod comparison;
mod course;
mod difference;
mod forecast;
mod glyphs;
mod history;
mod html;
mod json;
mod lines;
mod live;
mod phrase;
mod reading;
mod show;
mod stage_line;
mod summary;
mod table;
mod way_on;

use crate::event::RunEvent;

pub use bars::Bars;
pub use comparison::{comparison, comparison_json, plain_comparison};
pub use difference::write_diff;
pub use forecast::write_changes;
pub use history::{history, when};
pub use html::{ListedRun, Part, RunList, RunPage, message_page, server_policy, write_page};
pub use json::JsonLines;
pub use lines::Lines;
pub use live::LiveRun;
pub use phrase::{bytes, grouped, list, rows_reused, seconds};
pub use reading::{JobBar, ReadingBar};
pub use show::{show_evaluation, show_history, show_mean, show_model, show_oversample, show_rows};
pub use summary::write_summary;
pub use table::Table;
pub use way_on::{command_line, write_way_on};

/// Shows a run while it goes on. [`Bars`], [`Lines`] and [`JsonLines`] do.
pub trait Reporter {
    /// Takes in the next event.
    fn on_event(&mut self, event: &RunEvent);
}
