//! A run on a terminal: finished stages as lines, the running one as a bar below them.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{RunEvent, StageEvent};
use crate::key::StagePath;
use crate::report::{Reporter, phrase, write_changes};

/// Draws to standard error.
#[derive(Debug)]
pub struct Bars {
    bar: ProgressBar,
    activity: String,
}

const SPINNER: &str = "{prefix:.bold}  {spinner} {msg}";
const BAR: &str = "{prefix:.bold}  {bar:28} {pos}/{len} {msg}  {per_sec:.dim}, {eta} left";

impl Bars {
    /// A run that has not begun.
    pub fn new() -> Bars {
        Bars { bar: ProgressBar::hidden(), activity: String::new() }
    }

    fn begin(&mut self, stage: &StagePath) {
        self.bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        self.bar.set_style(style(SPINNER));
        self.bar.set_prefix(stage.to_string());
        self.bar.enable_steady_tick(std::time::Duration::from_millis(120));
        self.activity.clear();
    }

    fn hear(&mut self, stage: &StagePath, said: &StageEvent) {
        match said {
            StageEvent::Progress { activity, done, total, unit } => {
                if *activity != self.activity {
                    self.activity.clone_from(activity);
                    self.bar.set_style(style(BAR));
                    self.bar.reset();
                    self.bar.set_length(*total);
                    self.bar.set_message(format!("{}  {activity}", unit.as_str()));
                }
                self.bar.set_position(*done);
            }
            StageEvent::Epoch(metrics) => self.say(&format!("{stage}  {}", phrase::epoch(metrics))),
            StageEvent::Warning { message } => self.say(&format!("{stage}  warning: {message}")),
            StageEvent::Note { message } => self.say(&format!("{stage}  {message}")),
            StageEvent::Checkpoint { .. } | StageEvent::Metric { .. } => {}
        }
    }

    /// A hidden bar prints nothing, so a line without a running stage goes through a bar of its own.
    fn say(&self, line: &str) {
        if self.bar.is_hidden() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).println(line);
        } else {
            self.bar.println(line);
        }
    }
}

impl Default for Bars {
    fn default() -> Bars {
        Bars::new()
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
            _ => {}
        }
        if let Some(line) = phrase::ending(event) {
            self.bar.finish_and_clear();
            self.bar = ProgressBar::hidden();
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
