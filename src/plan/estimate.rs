//! What earlier results tell of a stage that is to run: how long it will take, by what another one of its kind took.

use std::cell::OnceCell;

use serde_json::Value;

use crate::cache::{ActionRecord, Cache, CacheError};
use crate::event::RowCounts;
use crate::key::Fingerprint;

/// The parameters that decide how long a piece of data takes; stages in which one of them differs tell nothing of each other.
const DECIDING: [&str; 9] = ["model", "network", "input", "size", "fit", "crops", "view", "precision", "run"];

/// The part of the time for an image that a copied row spares, where it is decoded and where a network sees it. To pack 3,000
/// photographs of 256 pixels took 7.2 s, and 2.0 s when they were copied; SqueezeNet's features of 330 took 12 s, and 0.4 s, most
/// of them to start the worker.
const SPARED_BY_COPYING: f64 = 0.7;
const SPARED_BY_COPYING_FEATURES: f64 = 0.98;

/// Every result in the cache, read once and only if somebody asks.
pub struct Experience<'a> {
    cache: &'a Cache,
    all: OnceCell<Vec<ActionRecord>>,
}

/// What is to be done.
pub(super) struct Task<'a> {
    pub fingerprint: &'a Fingerprint,
    /// As in [`crate::cache::Effort`].
    pub amount: u64,
    /// Where rows may be copied.
    pub rows: Option<RowCounts>,
    pub epochs: u32,
}

impl<'a> Experience<'a> {
    /// Reads nothing yet.
    pub fn new(cache: &'a Cache) -> Experience<'a> {
        Experience { cache, all: OnceCell::new() }
    }

    pub(super) fn cache(&self) -> &'a Cache {
        self.cache
    }

    /// The records, in no order.
    pub(super) fn records(&self) -> Result<&[ActionRecord], CacheError> {
        if let Some(records) = self.all.get() {
            return Ok(records);
        }
        let records = self.cache.actions()?;
        Ok(self.all.get_or_init(|| records))
    }

    /// The seconds that a task will take. `earlier` is what the stage last gave.
    pub(super) fn seconds(&self, task: &Task<'_>, earlier: Option<&ActionRecord>) -> Result<Option<f64>, CacheError> {
        if let Some(seconds) = earlier.and_then(|record| task.seconds_by(record)) {
            return Ok(Some(seconds));
        }
        let latest = self.records()?.iter().filter_map(|record| Some((&record.provenance.finished, task.seconds_by(record)?)));
        Ok(latest.max_by_key(|(finished, _)| *finished).map(|(_, seconds)| seconds))
    }
}

impl Task<'_> {
    /// In proportion to what another took; none if that was another kind of work.
    fn seconds_by(&self, record: &ActionRecord) -> Option<f64> {
        let effort = record.provenance.effort?;
        let alike = |name: &&str| given(self.fingerprint, name) == given(&record.fingerprint, name);
        if record.fingerprint.kind != self.fingerprint.kind || !DECIDING.iter().all(alike) {
            return None;
        }
        let ratio = |new: f64, old: f64| if old > 0.0 { new / old } else { 1.0 };
        let new_work = self.amount as f64 * self.share_of_work(self.rows);
        let data = ratio(new_work, effort.amount as f64 * self.share_of_work(record.result.rows));
        match (effort.epochs, self.epochs) {
            // It only wrote down what was trained before.
            (0, 1..) => None,
            (old, new) => Some(record.provenance.seconds * data * ratio(f64::from(new), f64::from(old))),
        }
    }

    /// The part of the work that is left where rows are only copied.
    fn share_of_work(&self, rows: Option<RowCounts>) -> f64 {
        let Some(RowCounts { reused, made }) = rows.filter(|rows| rows.reused > 0) else { return 1.0 };
        let spared = if self.fingerprint.kind == "extract-features" { SPARED_BY_COPYING_FEATURES } else { SPARED_BY_COPYING };
        1.0 - spared * reused as f64 / (reused + made) as f64
    }
}

fn given<'a>(fingerprint: &'a Fingerprint, name: &str) -> Option<&'a Value> {
    fingerprint.parameters.get(name).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::cache::{Effort, Provenance};

    fn training(model: &str, lr: f64) -> Fingerprint {
        let parameters = json!({ "model": { model: {} }, "optimizer": { "sgd": { "lr": lr } } });
        Fingerprint { kind: "train".to_owned(), version: 1, parameters, inputs: BTreeMap::new(), seed: None }
    }

    fn record(fingerprint: Fingerprint, seconds: f64, effort: Effort) -> ActionRecord {
        let (tool, pipeline, finished) = (String::new(), String::new(), String::new());
        let provenance = Provenance { tool, pipeline, stage: "train".parse().unwrap(), finished, seconds, effort: Some(effort) };
        ActionRecord::new(fingerprint, BTreeMap::new(), provenance)
    }

    #[test]
    fn time_grows_with_the_data_and_the_epochs_that_are_to_be_trained() {
        let earlier = record(training("alexnet", 0.1), 60.0, Effort { amount: 1000, epochs: 3 });
        let fingerprint = training("alexnet", 0.2);
        let seconds = |amount, epochs| Task { fingerprint: &fingerprint, amount, rows: None, epochs }.seconds_by(&earlier);
        assert_eq!(seconds(1000, 3), Some(60.0));
        assert_eq!(seconds(2000, 6), Some(240.0));
        assert_eq!(seconds(1000, 0), Some(0.0));
    }

    #[test]
    fn another_network_another_kind_and_a_training_that_was_all_reused_tell_nothing() {
        let fingerprint = training("alexnet", 0.1);
        let task = Task { fingerprint: &fingerprint, amount: 1000, rows: None, epochs: 3 };
        let effort = Effort { amount: 1000, epochs: 3 };
        assert_eq!(task.seconds_by(&record(training("mini-googlenet", 0.1), 60.0, effort)), None);
        let other = Fingerprint { kind: "pack".to_owned(), ..training("alexnet", 0.1) };
        assert_eq!(task.seconds_by(&record(other, 60.0, effort)), None);
        assert_eq!(task.seconds_by(&record(training("alexnet", 0.1), 0.1, Effort { amount: 1000, epochs: 0 })), None);
    }

    #[test]
    fn copied_rows_cost_less_than_others_now_and_then() {
        let pack = Fingerprint { kind: "pack".to_owned(), ..training("alexnet", 0.1) };
        let mut earlier = record(pack.clone(), 10.0, Effort { amount: 1000, epochs: 0 });
        let seconds =
            |rows, by: &ActionRecord| Task { fingerprint: &pack, amount: 1000, rows: Some(rows), epochs: 0 }.seconds_by(by).unwrap();
        let (all_made, all_copied) = (RowCounts { reused: 0, made: 1000 }, RowCounts { reused: 1000, made: 0 });
        assert!((seconds(all_copied, &earlier) - 3.0).abs() < 1e-9);
        (earlier.result.rows, earlier.provenance.seconds) = (Some(all_copied), 3.0);
        assert!((seconds(all_made, &earlier) - 10.0).abs() < 1e-9);
    }
}
