//! Trainings beside each other, epoch by epoch.

use crate::artifact::{History, HistoryEpoch};
use crate::cache::{Cache, CacheError};
use crate::compare::Row;
use crate::key::StageId;
use crate::record::StageRecord;

/// The epochs of a row's trainings, as far as they are known, by stage.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trainings(pub Vec<(StageId, Vec<HistoryEpoch>)>);

/// Which epoch counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEpoch {
    /// Each training's last.
    Last,
    This(u32),
    /// The last one that all trainings have.
    Equal,
}

impl Trainings {
    /// Of a row. A finished training has its whole history in the cache; of one that failed or was stopped, the run's record has the
    /// epochs of that run.
    pub fn of(row: &Row, cache: &Cache) -> Result<Trainings, CacheError> {
        let mut all = Vec::new();
        for stage in &row.stages {
            let epochs = match recorded(stage, cache)? {
                Some(history) => history.epochs,
                None => stage.epochs.iter().map(HistoryEpoch::from).collect(),
            };
            if !epochs.is_empty() {
                all.push((stage.stage.stage.clone(), epochs));
            }
        }
        Ok(Trainings(all))
    }

    /// The epochs of a stage; none if it did not train.
    pub fn of_stage(&self, stage: &StageId) -> &[HistoryEpoch] {
        self.0.iter().find(|(id, _)| id == stage).map_or(&[], |(_, epochs)| epochs)
    }
}

impl AtEpoch {
    /// The epoch's number; `None` for each training's last, and where the trainings have none in common.
    pub fn number(self, all: &[Trainings]) -> Option<u32> {
        match self {
            AtEpoch::Last => None,
            AtEpoch::This(epoch) => Some(epoch),
            AtEpoch::Equal => {
                let mut histories = all.iter().flat_map(|trainings| &trainings.0).map(|(_, epochs)| epochs);
                let first = histories.next()?;
                let has = |epochs: &Vec<HistoryEpoch>, number: u32| epochs.iter().any(|epoch| epoch.epoch == number);
                let shared = first.iter().map(|epoch| epoch.epoch).filter(|number| histories.clone().all(|epochs| has(epochs, *number)));
                shared.max()
            }
        }
    }
}

/// The history among a stage's results, if it has one and the cache still does.
pub(super) fn recorded(stage: &StageRecord, cache: &Cache) -> Result<Option<History>, CacheError> {
    let record = stage.key.map(|key| cache.action(&key)).transpose()?.flatten();
    let bytes = record.and_then(|record| cache.store().read(&record.outputs.get("history")?.digest));
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trainings(epochs: std::ops::RangeInclusive<u32>) -> Trainings {
        let epoch =
            |epoch| HistoryEpoch { epoch, learning_rate: 0.1, train_loss: 1.0, train_accuracy: 0.5, val_loss: None, val_accuracy: None };
        Trainings(vec![("train".parse().unwrap(), epochs.map(epoch).collect())])
    }

    #[test]
    fn equal_epochs_are_those_that_every_training_has() {
        let all = [trainings(1..=10), trainings(4..=7), trainings(1..=6), Trainings::default()];
        assert_eq!(AtEpoch::Equal.number(&all), Some(6));
        assert_eq!(AtEpoch::Equal.number(&[trainings(1..=3), trainings(4..=7)]), None);
        assert_eq!(AtEpoch::Equal.number(&[Trainings::default()]), None);
    }
}
