//! How far a running stage is, as its events tell it: share done, speed, time left, losses and accuracies so far.
//!
//! Moments are seconds on a clock of the caller, so that a log that is read later shows what the events themselves would have shown.

use crate::event::{EpochMetrics, EpochStart, StageEvent, Unit};

/// The course of a running stage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Course {
    began: f64,
    pass: Option<Pass>,
    /// Of a training, the epoch that is under way, and when it began.
    epoch: Option<(EpochStart, f64)>,
    /// Those that ended in this run.
    epochs: Vec<EpochMetrics>,
    /// How long those took.
    epoch_seconds: f64,
    /// Loss and accuracy so far, again and again, in the epoch that is under way.
    so_far: Vec<(f64, f64)>,
}

/// One activity from its first unit to its last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pass {
    pub(super) activity: String,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) unit: Unit,
    began: f64,
    /// When `done` was told.
    told: f64,
}

/// Numbers over time with the name of what was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trend {
    pub(super) name: &'static str,
    /// The name where there is little room.
    pub(super) short: &'static str,
    pub(super) values: Vec<f64>,
}

impl Course {
    /// A stage that begins.
    pub(super) fn new(now: f64) -> Course {
        Course { began: now, pass: None, epoch: None, epochs: Vec::new(), epoch_seconds: 0.0, so_far: Vec::new() }
    }

    pub(super) fn hear(&mut self, said: &StageEvent, now: f64) {
        match said {
            StageEvent::Progress { activity, done, total, unit } => self.advance(activity, (*done, *total), *unit, now),
            StageEvent::EpochStarted(start) => {
                self.epoch = Some((*start, now));
                self.pass = None;
                self.so_far.clear();
            }
            StageEvent::EpochSoFar { loss, accuracy } => self.so_far.push((*loss, *accuracy)),
            StageEvent::Epoch(metrics) => {
                self.epochs.push(metrics.clone());
                self.epoch_seconds += self.epoch.map_or(0.0, |(_, began)| now - began);
                self.so_far.clear();
            }
            StageEvent::Checkpoint { .. } | StageEvent::Metric { .. } | StageEvent::Warning { .. } | StageEvent::Note { .. } => {}
        }
    }

    fn advance(&mut self, activity: &str, (done, total): (u64, u64), unit: Unit, now: f64) {
        let is_in_epoch = self.is_in_epoch();
        match &mut self.pass {
            Some(pass) if pass.activity == activity => (pass.done, pass.told) = (done, now),
            // What an epoch does after its training images, it does to validate: the pass over those is what people watch.
            Some(_) if is_in_epoch => {}
            _ => {
                let began = self.epoch.filter(|_| is_in_epoch).map_or(now, |(_, began)| began);
                let (activity, told) = (activity.to_owned(), now);
                self.pass = Some(Pass { activity, done, total, unit, began, told });
            }
        }
    }

    fn is_in_epoch(&self) -> bool {
        self.epoch.is_some_and(|(start, _)| self.epochs.last().is_none_or(|last| last.epoch < start.epoch))
    }

    /// How long it runs.
    pub(super) fn seconds(&self, now: f64) -> f64 {
        (now - self.began).max(0.0)
    }

    pub(super) fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    /// The epoch that is under way or was the last.
    pub(super) fn epoch(&self) -> Option<EpochStart> {
        self.epoch.map(|(start, _)| start)
    }

    /// What is done of all epochs, or of the activity where there are none; `None` while nothing is known.
    pub(super) fn share(&self) -> Option<f64> {
        let of_pass = self.pass.as_ref().filter(|pass| pass.total > 0).map(|pass| pass.done as f64 / pass.total as f64);
        let Some((start, _)) = self.epoch else { return of_pass };
        let of_epoch = if self.is_in_epoch() { of_pass.unwrap_or(0.0) } else { 1.0 };
        Some((f64::from(start.epoch) - 1.0 + of_epoch) / f64::from(start.epochs.max(1)))
    }

    /// Units a second.
    pub(super) fn rate(&self) -> Option<f64> {
        let Pass { done, began, told, .. } = self.pass.as_ref()?;
        (told > began && *done > 0).then(|| *done as f64 / (told - began))
    }

    /// Seconds until all epochs are over, or the activity where there are none.
    pub(super) fn seconds_left(&self, now: f64) -> Option<f64> {
        let Some((start, began)) = self.epoch else {
            let pass = self.pass.as_ref()?;
            let left = pass.total.saturating_sub(pass.done) as f64 / self.rate()?;
            return Some((left - (now - pass.told)).max(0.0));
        };
        let each = match self.epochs.len() {
            0 => {
                let pass = self.pass.as_ref()?;
                pass.total as f64 / self.rate()?
            }
            ended => self.epoch_seconds / ended as f64,
        };
        let to_come = f64::from(start.epochs.saturating_sub(start.epoch));
        let of_this = if self.is_in_epoch() { (each - (now - began)).max(0.0) } else { 0.0 };
        Some(to_come * each + of_this)
    }

    /// Training losses epoch by epoch; within the first epoch, what it has so far.
    pub(super) fn losses(&self) -> Trend {
        self.trend(["loss", "loss"], |epoch| epoch.train_loss, |(loss, _)| loss)
    }

    /// Accuracies on the validation images where there are some, else on the training images.
    pub(super) fn accuracies(&self) -> Trend {
        let validated: Option<Vec<f64>> = self.epochs.iter().map(|epoch| epoch.val_accuracy).collect();
        match validated.filter(|values| !values.is_empty()) {
            Some(values) => Trend { name: "val accuracy", short: "val acc", values },
            None => self.trend(["accuracy", "acc"], |epoch| epoch.train_accuracy, |(_, accuracy)| accuracy),
        }
    }

    /// `names` are the name and the short one.
    fn trend(&self, names: [&'static str; 2], of_epoch: fn(&EpochMetrics) -> f64, so_far: fn((f64, f64)) -> f64) -> Trend {
        let values = match self.epochs.is_empty() {
            true => self.so_far.iter().copied().map(so_far).collect(),
            false => self.epochs.iter().map(of_epoch).chain(self.so_far.last().copied().map(so_far)).collect(),
        };
        let [name, short] = names;
        Trend { name, short, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(activity: &str, done: u64) -> StageEvent {
        StageEvent::Progress { activity: activity.to_owned(), done, total: 100, unit: Unit::Images }
    }

    fn start(epoch: u32) -> StageEvent {
        StageEvent::EpochStarted(EpochStart { epoch, epochs: 10, learning_rate: 0.1 })
    }

    fn epoch(epoch: u32, loss: f64) -> StageEvent {
        StageEvent::Epoch(EpochMetrics {
            epoch,
            epochs: 10,
            learning_rate: 0.1,
            train_loss: loss,
            train_accuracy: 0.5,
            val_loss: None,
            val_accuracy: Some(0.25),
            images_per_second: 50.0,
            finished: None,
        })
    }

    #[test]
    fn an_activity_tells_its_share_its_speed_and_the_time_that_is_left() {
        let mut course = Course::new(10.0);
        assert_eq!((course.share(), course.rate(), course.seconds_left(11.0)), (None, None, None));
        course.hear(&progress("packing train", 0), 10.0);
        course.hear(&progress("packing train", 50), 12.0);
        assert_eq!((course.share(), course.rate(), course.seconds_left(12.5)), (Some(0.5), Some(25.0), Some(1.5)));
        assert_eq!(course.seconds_left(99.0), Some(0.0));
        course.hear(&progress("packing test", 10), 14.0);
        assert_eq!((course.share(), course.rate()), (Some(0.1), None));
    }

    #[test]
    fn the_time_left_of_a_training_is_that_of_all_its_epochs() {
        let mut course = Course::new(0.0);
        course.hear(&start(3), 1.0);
        course.hear(&progress("epoch 3/10", 50), 3.0);
        // Two epochs are known from before; half of the third took two seconds.
        assert_eq!((course.share(), course.rate(), course.seconds_left(3.0)), (Some(0.25), Some(25.0), Some(7.0 * 4.0 + 2.0)));
        course.hear(&progress("epoch 3/10", 100), 5.0);
        course.hear(&progress("epoch 3/10, validating", 30), 5.5);
        assert_eq!((course.share(), course.rate()), (Some(0.3), Some(25.0)));
        course.hear(&epoch(3, 2.0), 6.0);
        course.hear(&start(4), 6.0);
        assert_eq!((course.share(), course.seconds_left(7.0)), (Some(0.3), Some(6.0 * 5.0 + 4.0)));
    }

    #[test]
    fn the_first_epoch_shows_what_it_has_so_far_and_later_ones_what_every_epoch_gave() {
        let mut course = Course::new(0.0);
        course.hear(&start(1), 0.0);
        for loss in [3.0, 2.5] {
            course.hear(&StageEvent::EpochSoFar { loss, accuracy: 0.1 }, 1.0);
        }
        assert_eq!(course.losses().values, [3.0, 2.5]);
        assert_eq!(course.accuracies(), Trend { name: "accuracy", short: "acc", values: vec![0.1, 0.1] });
        course.hear(&epoch(1, 2.0), 2.0);
        course.hear(&start(2), 2.0);
        course.hear(&StageEvent::EpochSoFar { loss: 1.5, accuracy: 0.6 }, 3.0);
        assert_eq!(course.losses().values, [2.0, 1.5]);
        assert_eq!(course.accuracies(), Trend { name: "val accuracy", short: "val acc", values: vec![0.25] });
    }
}
