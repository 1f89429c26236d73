//! A run on a terminal: finished stages as lines, the running ones as bars below them.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::event::{RunEvent, StageEvent, Unit};
use crate::key::StagePath;
use crate::report::{Reporter, phrase, write_changes};

/// Draws to standard error.
#[derive(Debug, Default)]
pub struct Bars {
    screen: MultiProgress,
    running: BTreeMap<StagePath, Bar>,
}

/// What a running stage is at.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    activity: String,
    unit: &'static str,
    /// Of the epoch so far, where one is trained.
    score: String,
}

const SPINNER: &str = "{prefix:.bold}  {spinner} {msg}";
const BAR: &str = "{prefix:.bold}  {bar:28} {pos}/{len} {msg}  {per_sec:.dim}, {eta} left";

impl Bars {
    /// A run that has not begun.
    pub fn new() -> Bars {
        Bars::default()
    }

    fn begin(&mut self, stage: &StagePath) {
        let bar = self.screen.add(ProgressBar::no_length().with_style(style(SPINNER)).with_prefix(stage.to_string()));
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        self.running.insert(stage.clone(), Bar { bar, activity: String::new(), unit: "", score: String::new() });
    }

    fn end(&mut self, stage: &StagePath) {
        if let Some(Bar { bar, .. }) = self.running.remove(stage) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    fn hear(&mut self, stage: &StagePath, said: &StageEvent) {
        match said {
            StageEvent::Progress { activity, done, total, unit } => {
                if let Some(bar) = self.running.get_mut(stage) {
                    bar.advance(activity, *done, *total, *unit);
                }
            }
            StageEvent::EpochSoFar { loss, accuracy } => {
                if let Some(bar) = self.running.get_mut(stage) {
                    bar.score = format!("  loss {loss:.4}  accuracy {:.2} %", accuracy * 100.0);
                    bar.tell();
                }
            }
            StageEvent::Epoch(metrics) => self.say(&format!("{stage}  {}", phrase::epoch(metrics))),
            StageEvent::Warning { message } => self.say(&format!("{stage}  warning: {message}")),
            StageEvent::Note { message } => self.say(&format!("{stage}  {message}")),
            StageEvent::Checkpoint { .. } | StageEvent::Metric { .. } => {}
        }
    }

    /// Above the bars. A screen that cannot be written to is no reason to stop a run.
    fn say(&self, line: &str) {
        drop(self.screen.println(line));
    }
}

impl Bar {
    fn advance(&mut self, activity: &str, done: u64, total: u64, unit: Unit) {
        if activity != self.activity {
            activity.clone_into(&mut self.activity);
            self.bar.set_style(style(BAR));
            self.bar.reset();
            self.bar.set_length(total);
            self.unit = unit.as_str();
            self.score.clear();
            self.tell();
        }
        self.bar.set_position(done);
    }

    fn tell(&self) {
        self.bar.set_message(format!("{}  {}{}", self.unit, self.activity, self.score));
    }
}

impl Reporter for Bars {
    fn on_event(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Stage { stage, said } => self.hear(stage, said),
            RunEvent::StageWaiting { stage, holder } => self.say(&format!("{stage}  waiting for {holder}")),
            RunEvent::StageStarted { stage, changes, .. } => {
                self.say(&format!("{stage}  running: {}", write_changes(changes)));
                self.begin(stage);
            }
            RunEvent::StageFinished(result) | RunEvent::StageReused(result) => self.end(&result.stage),
            RunEvent::StageFailed { stage, .. } | RunEvent::StageSuperseded { stage, .. } => self.end(stage),
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

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
