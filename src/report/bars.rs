//! A run on a terminal: a quiet line for every stage that has ended, below them a line with a bar for each that runs.
//!
//! What runs is drawn a few times a second, however much it says; all of it that lasts is in the quiet lines.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use console::{Style, Term, measure_text_width};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::event::{RunEvent, StageEvent, StageResult};
use crate::key::{Change, StagePath};
use crate::report::course::Course;
use crate::report::glyphs::Glyphs;
use crate::report::stage_line::{self, Look};
use crate::report::{Reporter, phrase, write_changes};

/// Draws to standard error.
#[derive(Debug)]
pub struct Bars {
    screen: MultiProgress,
    running: BTreeMap<StagePath, Bar>,
    glyphs: &'static Glyphs,
    columns: Columns,
    clock: Instant,
}

/// A running stage and its line.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    course: Arc<Mutex<Course>>,
}

/// Asked again and again: a window may change its width.
type Columns = fn() -> usize;

/// How often a line is drawn anew.
const REDRAW: Duration = Duration::from_millis(300);
const REDRAWS_PER_SECOND: u8 = 6;

impl Bars {
    /// A run that has not begun, on the terminal that standard error is.
    pub fn new() -> Bars {
        // The last column stays empty: some terminals go to the next line when it is written.
        let columns = || usize::from(Term::stderr().size().1).saturating_sub(1);
        Bars::on(ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND), Glyphs::of_locale(), columns)
    }

    fn on(target: ProgressDrawTarget, glyphs: &'static Glyphs, columns: Columns) -> Bars {
        let screen = MultiProgress::with_draw_target(target);
        Bars { screen, running: BTreeMap::new(), glyphs, columns, clock: Instant::now() }
    }

    fn begin(&mut self, stage: &StagePath) {
        // One that asked the remote in vain has a line already.
        self.end(stage);
        let course = Arc::new(Mutex::new(Course::new(self.now())));
        let (name, drawn, clock) = (stage.to_string(), Arc::clone(&course), self.clock);
        let (glyphs, columns) = (self.glyphs, self.columns);
        let line = move |_: &ProgressState, out: &mut dyn Write| {
            let look = Look { columns: columns(), glyphs };
            match out.write_str(&stage_line::running(&name, &lock(&drawn), clock.elapsed().as_secs_f64(), look)) {
                // A line that cannot be written now is written a moment later.
                Ok(()) | Err(fmt::Error) => {}
            }
        };
        let style = ProgressStyle::with_template("{line}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.screen.add(ProgressBar::no_length().with_style(style.with_key("line", line)));
        bar.enable_steady_tick(REDRAW);
        self.running.insert(stage.clone(), Bar { bar, course });
    }

    /// Takes the line away; gives what there is to show of the stage's course.
    fn end(&mut self, stage: &StagePath) -> Option<Arc<Mutex<Course>>> {
        let Bar { bar, course } = self.running.remove(stage)?;
        bar.finish_and_clear();
        self.screen.remove(&bar);
        Some(course)
    }

    fn hear(&mut self, stage: &StagePath, said: &StageEvent) {
        if let Some(bar) = self.running.get(stage) {
            lock(&bar.course).hear(said, self.now());
        }
        match said {
            StageEvent::Warning { message } => self.say(&format!("{stage}  warning: {message}")),
            StageEvent::Note { message } => self.say_quietly(&format!("{stage}  {message}")),
            _ => {}
        }
    }

    fn finish(&mut self, result: &StageResult, line: &str) {
        let course = self.end(&result.stage);
        let line = format!("{} {line}", self.glyphs.finished);
        let look = Look { columns: (self.columns)(), glyphs: self.glyphs };
        let curves = course.map(|course| stage_line::ended(&lock(&course), measure_text_width(&line), look)).unwrap_or_default();
        self.say(&format!("{line}{curves}"));
        phrase::remarks(result).iter().for_each(|remark| self.say(remark));
    }

    /// Above the bars. A screen that cannot be written to is no reason to stop a run.
    fn say(&self, line: &str) {
        drop(self.screen.println(line));
    }

    fn say_quietly(&self, line: &str) {
        self.say(&Style::new().for_stderr().dim().apply_to(line).to_string());
    }

    fn now(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
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
                if changes.iter().any(|change| *change != Change::NeverRan) {
                    self.say_quietly(&format!("{stage}  runs: {}", write_changes(changes)));
                }
                self.begin(stage);
            }
            RunEvent::StageFetching { stage, .. } => self.begin(stage),
            _ => {}
        }
        let Some(line) = phrase::ending(event) else { return };
        match event {
            RunEvent::StageFinished(result) => self.finish(result, &line),
            RunEvent::StageReused(result) => {
                self.end(&result.stage);
                self.say_quietly(&format!("{} {line}", self.glyphs.reused));
            }
            RunEvent::StageFailed { stage, .. } => {
                self.end(stage);
                self.say(&format!("{} {line}", self.glyphs.failed));
            }
            RunEvent::StageSuperseded { stage, .. } | RunEvent::StageNotRun { stage, .. } => {
                self.end(stage);
                self.say(&line);
            }
            _ => self.say(&line),
        }
    }
}

/// What a thread that panicked has left is as good as any.
fn lock(course: &Mutex<Course>) -> MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::event::{EpochMetrics, EpochStart, Unit};
    use crate::key::{ActionKey, Fingerprint};

    /// A training in its third epoch of eight, 24 seconds after it began.
    fn training() -> Course {
        let mut course = Course::new(0.0);
        for (epoch, loss) in [(1, 1.6), (2, 0.9)] {
            let now = f64::from(epoch) * 10.0 - 10.0;
            course.hear(&StageEvent::EpochStarted(EpochStart { epoch, epochs: 8, learning_rate: 0.01 }), now);
            course.hear(&StageEvent::Epoch(metrics(epoch, loss)), now + 10.0);
        }
        course.hear(&StageEvent::EpochStarted(EpochStart { epoch: 3, epochs: 8, learning_rate: 0.01 }), 20.0);
        let unit = Unit::Images;
        course.hear(&StageEvent::Progress { activity: "epoch 3/8".to_owned(), done: 1648, total: 4000, unit }, 24.0);
        course.hear(&StageEvent::EpochSoFar { loss: 0.5123, accuracy: 0.8 }, 24.0);
        course
    }

    fn metrics(epoch: u32, loss: f64) -> EpochMetrics {
        let (train_accuracy, val_accuracy) = (0.5, Some(1.0 - loss / 2.0));
        let (epochs, learning_rate, images_per_second) = (8, 0.01, 400.0);
        EpochMetrics {
            epoch,
            epochs,
            learning_rate,
            train_loss: loss,
            train_accuracy,
            val_loss: Some(loss),
            val_accuracy,
            images_per_second,
            finished: None,
        }
    }

    #[test]
    fn a_training_fits_terminals_of_every_width() {
        let at = |columns, glyphs| stage_line::running("train", &training(), 24.0, Look { columns, glyphs });
        let lines = [160, 120, 99, 79, 60, 39, 20, 4].map(|columns| at(columns, &Glyphs::UNICODE));
        insta::assert_snapshot!(lines.join("\n"), @"
        train  ━━━━━━━─────────────────  epoch 3/8  412 images/s  56 s left  loss █▃▁      0.5123  val accuracy ▁█       55.00 %
        train  ━━━━━━━─────────────────  epoch 3/8  412 images/s  56 s left  loss █▃▁      0.5123  val accuracy ▁█       55.00 %
        train  ━━━───────  epoch 3/8  412/s  0:56 left  loss █▃▁    0.5123  val acc ▁█     55.00 %
        train  ━━────  epoch 3/8  0:56 left  loss █▃▁  0.5123  val acc ▁█   55.00 %
        train  ━━━───────  epoch 3/8  0:56 left  loss █▃▁  0.5123
        train  epoch 3/8  0:56 left
        train  epoch 3/8
        tra…
        ");
        insta::assert_snapshot!(at(79, &Glyphs::ASCII), @"train  ##....  epoch 3/8  0:56 left  loss @-.  0.5123  val acc .@   55.00 %");
        for columns in 1..200 {
            assert!(measure_text_width(&at(columns, &Glyphs::UNICODE)) <= columns, "{columns}");
        }
    }

    #[test]
    fn names_are_cut_by_what_they_take_on_the_screen() {
        let look = Look { columns: 39, glyphs: &Glyphs::UNICODE };
        let line = |name| stage_line::running(name, &Course::new(0.0), 75.0, look);
        insta::assert_snapshot!(line("augmentation=strong/deeper-googlenet"), @"augmentation…  running, 1 min 15 s");
        insta::assert_snapshot!(line("学習率を変えた訓練"), @"学習率を変え…  running, 1 min 15 s");
    }

    #[test]
    fn stages_that_run_have_a_line_each_and_leave_a_quiet_one() {
        let screen = InMemoryTerm::new(12, 80);
        let mut bars = Bars::on(ProgressDrawTarget::term_like(Box::new(screen.clone())), &Glyphs::UNICODE, || 79);
        let path = |stage: &str| StagePath { variant: None, stage: stage.parse().unwrap() };
        let key = key();
        let started = |stage: &str| RunEvent::StageStarted { stage: path(stage), key, changes: vec![Change::NeverRan] };
        let (activity, unit) = ("packing train".to_owned(), Unit::Images);
        let progress = StageEvent::Progress { activity, done: 50, total: 100, unit };
        bars.on_event(&started("pack"));
        bars.on_event(&started("mean"));
        bars.on_event(&RunEvent::Stage { stage: path("pack"), said: progress });
        for Bar { bar, .. } in bars.running.values() {
            bar.disable_steady_tick();
            bar.tick();
        }
        let shown = screen.contents();
        assert!(shown.starts_with("pack  ━━━━━━━━━━━━────────────  packing train 50/100\nmean  running, 0 s"), "{shown}");
        bars.on_event(&RunEvent::StageFinished(result(path("pack"), key)));
        bars.on_event(&RunEvent::StageReused(result(path("features"), key)));
        bars.on_event(&RunEvent::StageFailed { stage: path("mean"), error: "no room".to_owned(), training: None });
        assert_eq!(screen.contents(), "✓ pack  done in 2.5 s\n↺ features  reused\n✗ mean  failed: no room");
    }

    fn key() -> ActionKey {
        let (parameters, inputs) = (serde_json::json!({}), BTreeMap::new());
        Fingerprint { kind: "pack".to_owned(), version: 1, parameters, inputs, seed: None }.key()
    }

    fn result(stage: StagePath, key: ActionKey) -> StageResult {
        let (metrics, output, files, unstable_inputs) = Default::default();
        StageResult { stage, key, seconds: 2.5, metrics, output, files, from_remote: None, unstable_inputs }
    }
}
