//! Runs as TensorBoard shows them: a folder for every stage that has numbers, with a file of scalars.
//!
//! Works from run records and from what the cache still has of their results. The only module that knows TensorBoard's formats.

mod event_file;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

use crate::artifact::HistoryEpoch;
use crate::cache::{Cache, CacheError};
use crate::compare::{self, Row, Trainings};
use crate::event::{EpochMetrics, Metric};
use crate::record::{RunRecord, StageRecord};
use crate::tensorboard::event_file::Scalar;

/// Why a run could not be written.
#[derive(Debug, Error)]
pub enum TensorboardError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A folder that was written: what TensorBoard calls a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Written {
    /// Below the chosen folder: the run's name or id, the variant, the stage.
    pub folder: PathBuf,
    /// 0 for a stage that does not train epoch by epoch.
    pub epochs: usize,
    /// Numbers besides those of epochs.
    pub metrics: usize,
}

/// When the epochs of all runs ended. Runs that begin alike share epochs: one that another run trained has the very same numbers.
struct Times(Vec<(HistoryEpoch, f64)>);

/// A stage's numbers, and when the first of them was known.
struct Course {
    epochs: usize,
    metrics: usize,
    scalars: Vec<Scalar>,
    began: f64,
}

/// Writes runs into folders below `folder`, which are named after the runs, with one below for each variant and each stage. `others` are
/// the further runs in which their epochs may have been trained. Files of the same runs that were written before are replaced.
pub fn write(runs: &[RunRecord], others: &[RunRecord], cache: &Cache, folder: &Path) -> Result<Vec<Written>, TensorboardError> {
    let times = Times::of(runs.iter().chain(others));
    let mut written = Vec::new();
    for run in runs {
        let started = seconds(&run.provenance.started).unwrap_or_default();
        for row in compare::rows(run) {
            let trainings = Trainings::of(&row, cache)?;
            for stage in &row.stages {
                let course = Course::of(stage, trainings.of_stage(&stage.stage.stage), &times, ended(stage, cache)?.unwrap_or(started));
                if course.scalars.is_empty() {
                    continue;
                }
                let below = place(&row, stage);
                write_file(&folder.join(&below), started, &course)?;
                written.push(Written { folder: below, epochs: course.epochs, metrics: course.metrics });
            }
        }
    }
    Ok(written)
}

/// Of a variant's stage.
fn place(row: &Row, stage: &StageRecord) -> PathBuf {
    let run = row.name.as_ref().map_or(row.run.as_str(), |name| name.as_str());
    let variant = row.variant.as_ref().map(|variant| variant.as_str());
    [Some(run), variant, Some(stage.stage.stage.as_str())].into_iter().flatten().collect()
}

/// The file is named after the run's start, as TensorBoard's own are, so that writing the run again replaces it.
fn write_file(folder: &Path, started: f64, course: &Course) -> Result<(), TensorboardError> {
    let path = folder.join(format!("events.out.tfevents.{started:.0}.packtrain"));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut out = BufWriter::new(File::create(&path)?);
        event_file::write(&mut out, course.began, &course.scalars)?;
        out.flush()
    };
    write().map_err(|source| TensorboardError::Io { path: path.clone(), source })
}

/// When the result of a stage was made, if the cache has it.
fn ended(stage: &StageRecord, cache: &Cache) -> Result<Option<f64>, CacheError> {
    let action = stage.key.map(|key| cache.action(&key)).transpose()?.flatten();
    Ok(action.and_then(|action| seconds(&action.provenance.finished)))
}

/// Seconds since 1970.
fn seconds(rfc3339: &str) -> Option<f64> {
    rfc3339.parse::<Timestamp>().ok().map(|moment| moment.as_duration().as_secs_f64())
}

impl Times {
    fn of<'a>(runs: impl Iterator<Item = &'a RunRecord>) -> Times {
        let epochs = runs.flat_map(|run| &run.stages).flat_map(|stage| &stage.epochs);
        let timed = |epoch: &EpochMetrics| Some((HistoryEpoch::from(epoch), seconds(epoch.finished.as_deref()?)?));
        Times(epochs.filter_map(timed).collect())
    }

    fn find(&self, epoch: &HistoryEpoch) -> Option<f64> {
        self.0.iter().find(|(known, _)| known == epoch).map(|(_, time)| *time)
    }
}

impl Course {
    /// An epoch whose time is not known counts as ended with the next one that is, at the latest with the stage.
    fn of(stage: &StageRecord, epochs: &[HistoryEpoch], times: &Times, ended: f64) -> Course {
        let metric = |metric: &Metric| Scalar { tag: metric.name.clone(), step: 0, time: ended, value: metric.value };
        let metrics: Vec<Scalar> = stage.metrics.iter().map(metric).collect();
        let mut time = ended;
        let mut backwards = Vec::new();
        for epoch in epochs.iter().rev() {
            time = times.find(epoch).unwrap_or(time);
            backwards.push(scalars(epoch, time));
        }
        let (count, known) = (metrics.len(), backwards.len());
        let scalars = backwards.into_iter().rev().flatten().chain(metrics).collect();
        Course { epochs: known, metrics: count, scalars, began: time }
    }
}

/// The numbers of an epoch.
fn scalars(epoch: &HistoryEpoch, time: f64) -> impl Iterator<Item = Scalar> {
    let HistoryEpoch { epoch: step, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy } = *epoch;
    let measured = [
        ("loss/train", Some(train_loss)),
        ("loss/val", val_loss),
        ("accuracy/train", Some(train_accuracy)),
        ("accuracy/val", val_accuracy),
        ("learning-rate", Some(learning_rate)),
    ];
    measured.into_iter().filter_map(move |(tag, value)| Some(Scalar { tag: tag.to_owned(), step, time, value: value? }))
}
