//! Learning rates: one for every epoch, in force from its beginning to its end.
//!
//! Pure arithmetic on what the manifest says; epochs are counted from 0 here.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::ParameterProblem;

/// How the learning rate changes from epoch to epoch. It begins with the optimizer's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Schedule {
    /// The optimizer's rate throughout.
    #[default]
    Constant,
    /// Falls to zero as `lr * (1 - epoch / epochs)^power`.
    Polynomial {
        /// 1 falls along a straight line; a larger one faster at first.
        #[serde(default = "Schedule::linear")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        power: f64,
    },
    /// Multiplied by `factor` after every `every` epochs.
    Step {
        /// Epochs with the same rate.
        #[schemars(range(min = 1))]
        every: u32,
        /// What the rate is multiplied by.
        #[serde(default = "Schedule::tenth")]
        #[schemars(extend("exclusiveMinimum" = 0))]
        factor: f64,
    },
    /// A rate for some epochs, then another one. `epochs` may be left out: it is the sum.
    Phases(#[schemars(length(min = 1))] Vec<Phase>),
    /// Falls to `final-lr` along half a cosine.
    Cosine {
        /// The rate that the last epoch comes close to.
        #[serde(default)]
        #[schemars(range(min = 0.0))]
        final_lr: f64,
    },
    /// Rises to `peak-lr` and falls to `final-lr`, along half a cosine each (Smith and Topin, 2018).
    OneCycle {
        /// The highest rate.
        #[schemars(extend("exclusiveMinimum" = 0))]
        peak_lr: f64,
        /// The last epoch's rate.
        #[serde(default)]
        #[schemars(range(min = 0.0))]
        final_lr: f64,
        /// The fraction of the epochs in which the rate rises.
        #[serde(default = "Schedule::three_tenths")]
        #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
        rise: f64,
    },
}

/// Some epochs with the same learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Phase {
    /// How many.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Their learning rate.
    #[schemars(range(min = 0.0))]
    pub lr: f64,
}

/// Smaller rates at first: the schedule's rate is multiplied by a number that rises evenly from `factor` to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Warmup {
    /// The epochs with a smaller rate.
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// What the rate of the first epoch is multiplied by.
    #[serde(default = "Schedule::tenth")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub factor: f64,
}

impl Schedule {
    /// The epochs of all phases; `None` if the schedule leaves the number open.
    pub fn own_epochs(&self) -> Option<u32> {
        match self {
            Schedule::Phases(phases) => Some(sum_of_epochs(phases)),
            _ => None,
        }
    }

    /// The rate of an epoch out of `epochs`, where `lr` is the optimizer's.
    pub(super) fn rate(&self, lr: f64, epoch: u32, epochs: u32) -> f64 {
        let done = f64::from(epoch) / f64::from(epochs);
        match self {
            Schedule::Constant => lr,
            Schedule::Polynomial { power } => lr * (1.0 - done).powf(*power),
            Schedule::Step { every, factor } => lr * factor.powf(f64::from(epoch / (*every).max(1))),
            Schedule::Phases(phases) => rate_in_phases(phases, epoch).unwrap_or(lr),
            Schedule::Cosine { final_lr } => half_cosine(lr, *final_lr, done),
            Schedule::OneCycle { peak_lr, final_lr, rise } => {
                // As torch.optim.lr_scheduler.OneCycleLR: the peak is an epoch's, and so is the final rate.
                let (epoch, last) = (f64::from(epoch), f64::from(epochs) - 1.0);
                let peak = rise * f64::from(epochs) - 1.0;
                if epoch <= peak {
                    half_cosine(lr, *peak_lr, epoch / peak.max(f64::MIN_POSITIVE))
                } else {
                    half_cosine(*peak_lr, *final_lr, (epoch - peak) / (last - peak))
                }
            }
        }
    }

    /// What cannot work; `epochs` as the manifest gives it, or nothing.
    pub(super) fn check(&self, lr: f64, epochs: Option<u32>) -> Vec<ParameterProblem> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let rate = |value: f64| value.is_finite() && value >= 0.0;
        let checks = match self {
            Schedule::Constant => Vec::new(),
            Schedule::Polynomial { power } => vec![(positive(*power), "polynomial.power", "`power` is a number above 0")],
            Schedule::Step { every, factor } => vec![
                (*every >= 1, "step.every", "`every` is 1 or more"),
                (positive(*factor), "step.factor", "`factor` is a number above 0"),
            ],
            Schedule::Phases(phases) => return check_phases(phases, lr, epochs),
            Schedule::Cosine { final_lr } => vec![(rate(*final_lr), "cosine.final-lr", "`final-lr` is 0 or more")],
            Schedule::OneCycle { peak_lr, final_lr, rise } => vec![
                (positive(*peak_lr), "one-cycle.peak-lr", "`peak-lr` is a number above 0"),
                (rate(*final_lr), "one-cycle.final-lr", "`final-lr` is 0 or more"),
                ((0.0..1.0).contains(rise), "one-cycle.rise", "`rise` is above 0 and below 1"),
                (rise * f64::from(epochs.unwrap_or(0)) > 1.0, "one-cycle.rise", "the rate rises in more than one of the epochs"),
            ],
        };
        let failed = checks.into_iter().filter(|(holds, _, _)| !holds);
        failed.map(|(_, key, message)| ParameterProblem::new(format!("schedule.{key}"), message)).collect()
    }

    fn linear() -> f64 {
        1.0
    }

    fn tenth() -> f64 {
        0.1
    }

    fn three_tenths() -> f64 {
        0.3
    }
}

impl Warmup {
    /// What the rate of an epoch is multiplied by.
    pub(super) fn factor_at(&self, epoch: u32) -> f64 {
        if epoch >= self.epochs {
            return 1.0;
        }
        self.factor + (1.0 - self.factor) * f64::from(epoch) / f64::from(self.epochs)
    }

    pub(super) fn check(&self, schedule: &Schedule) -> Vec<ParameterProblem> {
        let checks = [
            (self.epochs >= 1, "warmup.epochs", "`epochs` is 1 or more"),
            (self.factor > 0.0 && self.factor < 1.0, "warmup.factor", "`factor` is above 0 and below 1"),
            (!matches!(schedule, Schedule::OneCycle { .. }), "warmup", "`one-cycle` rises by itself; leave `warmup` out"),
        ];
        let failed = checks.into_iter().filter(|(holds, _, _)| !holds);
        failed.map(|(_, key, message)| ParameterProblem::new(key, message)).collect()
    }
}

fn check_phases(phases: &[Phase], lr: f64, epochs: Option<u32>) -> Vec<ParameterProblem> {
    let mut problems = Vec::new();
    if phases.is_empty() || phases.iter().any(|phase| phase.epochs < 1 || !phase.lr.is_finite() || phase.lr < 0.0) {
        problems.push(ParameterProblem::new("schedule.phases", "every phase has 1 epoch or more and an `lr` of 0 or more"));
    }
    if let Some(first) = phases.first().filter(|first| first.lr != lr) {
        let message = format!("the first phase has the `lr` {}, the optimizer {lr}: make them the same", first.lr);
        problems.push(ParameterProblem::new("schedule.phases", message));
    }
    let all = sum_of_epochs(phases);
    if let Some(epochs) = epochs.filter(|&epochs| epochs > all) {
        let message = format!("the phases have {all} epochs in all, not {epochs}; leave `epochs` out to train for all of them");
        problems.push(ParameterProblem::new("epochs", message));
    }
    problems
}

fn sum_of_epochs(phases: &[Phase]) -> u32 {
    phases.iter().fold(0, |sum, phase| sum.saturating_add(phase.epochs))
}

fn rate_in_phases(phases: &[Phase], epoch: u32) -> Option<f64> {
    let mut end = 0_u32;
    let current = phases.iter().find(|phase| {
        end = end.saturating_add(phase.epochs);
        epoch < end
    });
    current.map(|phase| phase.lr)
}

/// From `start` to `end`, level at both, when a fraction `done` of the way is done.
fn half_cosine(start: f64, end: f64, done: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * done).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `tests/reference/schedules.py` prints.
    const POLYNOMIAL: [f64; 7] = [0.005, 0.004285714286, 0.003571428571, 0.002857142857, 0.002142857143, 0.001428571429, 0.0007142857143];
    const SQUARE: [f64; 7] = [0.005, 0.003673469388, 0.002551020408, 0.001632653061, 0.0009183673469, 0.0004081632653, 0.0001020408163];
    const STEP: [f64; 8] = [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025];
    const PHASES: [f64; 7] = [0.01, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001];
    const COSINE: [f64; 6] = [0.1, 0.09397114317, 0.0775, 0.055, 0.0325, 0.01602885683];
    const ONE_CYCLE: [f64; 10] = [0.1, 0.2, 0.4, 0.5, 0.4665130497, 0.375025, 0.25005, 0.125075, 0.03358695032, 0.0001];
    const WARM_COSINE: [f64; 6] = [0.025, 0.04665063509, 0.05625, 0.05, 0.025, 0.006698729811];
    const BOOK: [f64; 4] = [0.005, 0.004928571428571429, 0.0025, 7.142857142857118e-05];

    fn rates(schedule: &Schedule, lr: f64, epochs: u32) -> Vec<f64> {
        (0..epochs).map(|epoch| schedule.rate(lr, epoch, epochs)).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-9 * expected, "{found} {expected}");
        }
    }

    fn phases() -> Schedule {
        Schedule::Phases([(3, 1e-2), (2, 1e-3), (2, 1e-4)].map(|(epochs, lr)| Phase { epochs, lr }).to_vec())
    }

    #[test]
    fn schedules_are_pytorchs() {
        assert_close(&rates(&Schedule::Polynomial { power: 1.0 }, 0.005, 7), &POLYNOMIAL);
        assert_close(&rates(&Schedule::Polynomial { power: 2.0 }, 0.005, 7), &SQUARE);
        assert_close(&rates(&Schedule::Step { every: 3, factor: 0.5 }, 0.1, 8), &STEP);
        assert_close(&rates(&phases(), 1e-2, 7), &PHASES);
        assert_close(&rates(&Schedule::Cosine { final_lr: 0.01 }, 0.1, 6), &COSINE);
        assert_close(&rates(&Schedule::OneCycle { peak_lr: 0.5, final_lr: 0.0001, rise: 0.4 }, 0.1, 10), &ONE_CYCLE);
    }

    #[test]
    fn warm_up_is_pytorchs() {
        let warmup = Warmup { epochs: 3, factor: 0.25 };
        let cosine = rates(&Schedule::Cosine { final_lr: 0.0 }, 0.1, 6);
        let warm: Vec<_> = cosine.iter().zip(0..).map(|(rate, epoch)| rate * warmup.factor_at(epoch)).collect();
        assert_close(&warm, &WARM_COSINE);
    }

    #[test]
    fn a_polynomial_over_seventy_epochs_is_the_books() {
        let rates = rates(&Schedule::Polynomial { power: 1.0 }, 0.005, 70);
        assert_close(&[0, 1, 35, 69].map(|epoch| rates[epoch]), &BOOK);
    }

    #[test]
    fn the_options_have_the_names_and_defaults_of_the_readme() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text).unwrap();
        assert_eq!(read(r#""constant""#), Schedule::default());
        assert_eq!(read(r#"{"polynomial": {}}"#), Schedule::Polynomial { power: 1.0 });
        assert_eq!(read(r#"{"step": {"every": 3}}"#), Schedule::Step { every: 3, factor: 0.1 });
        assert_eq!(read(r#"{"cosine": {"final-lr": 0.5}}"#), Schedule::Cosine { final_lr: 0.5 });
        let one_cycle = Schedule::OneCycle { peak_lr: 1.0, final_lr: 0.0, rise: 0.3 };
        assert_eq!(read(r#"{"one-cycle": {"peak-lr": 1.0}}"#), one_cycle);
        assert_eq!(read(r#"{"phases": [{"epochs": 1, "lr": 0.5}]}"#), Schedule::Phases(vec![Phase { epochs: 1, lr: 0.5 }]));
    }

    /// A schedule with a sound value in every place, for 10 epochs or more.
    fn schedule() -> impl Strategy<Value = Schedule> {
        prop_oneof![
            Just(Schedule::Constant),
            (0.1..4.0).prop_map(|power| Schedule::Polynomial { power }),
            (1_u32..20, 0.05..0.99).prop_map(|(every, factor)| Schedule::Step { every, factor }),
            Just(phases()),
            (0.0..0.01).prop_map(|final_lr| Schedule::Cosine { final_lr }),
            (0.02..1.0, 0.0..0.01, 0.2..0.9).prop_map(|(peak_lr, final_lr, rise)| Schedule::OneCycle { peak_lr, final_lr, rise }),
        ]
    }

    proptest! {
        #[test]
        fn every_rate_is_a_number_between_zero_and_the_peak(schedule in schedule(), lr in 0.01..1.0, epochs in 10_u32..80) {
            let peak = if let Schedule::OneCycle { peak_lr, .. } = schedule { f64::max(lr, peak_lr) } else { lr };
            for rate in rates(&schedule, lr, epochs) {
                prop_assert!((0.0..=peak * (1.0 + 1e-12)).contains(&rate), "{rate} {peak}");
            }
        }

        #[test]
        fn every_schedule_begins_with_the_optimizers_rate(schedule in schedule(), epochs in 10_u32..80) {
            prop_assert!((schedule.rate(0.01, 0, epochs) - 0.01).abs() < 1e-15);
        }

        #[test]
        fn all_but_one_cycle_never_rise(schedule in schedule(), lr in 0.01..1.0, epochs in 10_u32..80) {
            if !matches!(schedule, Schedule::OneCycle { .. } | Schedule::Phases(_)) {
                prop_assert!(rates(&schedule, lr, epochs).is_sorted_by(|one, next| one >= next));
            }
        }

        #[test]
        fn warm_up_never_raises_a_rate_and_ends(warmup_epochs in 1_u32..20, factor in 0.01..0.99) {
            let warmup = Warmup { epochs: warmup_epochs, factor };
            let factors: Vec<_> = (0..30).map(|epoch| warmup.factor_at(epoch)).collect();
            prop_assert!(factors.is_sorted() && factors[0] == factor);
            prop_assert!(factors[warmup_epochs as usize..].iter().all(|&factor| factor == 1.0));
        }
    }
}
