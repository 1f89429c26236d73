//! What a comparison knows of one variant of one run.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cache::{Cache, CacheError};
use crate::compare::{Column, MetricName, Trainings};
use crate::key::{ActionKey, Fingerprint, VariantName};
use crate::record::{Label, RunRecord, StageRecord};

/// A variant of a run; the run itself where its manifest has no matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub run: String,
    pub name: Option<Label>,
    pub tags: BTreeSet<Label>,
    pub pipeline: String,
    pub outcome: &'static str,
    pub variant: Option<VariantName>,
    pub params: BTreeMap<String, Value>,
    /// In the order in which the stages reported them.
    pub metrics: Vec<(MetricName, f64)>,
    /// Of every stage that was reused or ran.
    pub stages: Vec<StageRecord>,
    /// Whether each of its stages has a result.
    pub is_complete: bool,
}

/// The content of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    Text(Cow<'a, str>),
    Value(&'a Value),
    /// The metric's name decides how it reads.
    Metric(&'a str, f64),
}

/// A row for every variant of a run.
pub fn rows(record: &RunRecord) -> Vec<Row> {
    let provenance = &record.provenance;
    let row = |variant: Option<VariantName>, own: &BTreeMap<String, Value>| {
        let stages: Vec<&StageRecord> = record.stages.iter().filter(|stage| stage.stage.variant == variant).collect();
        let metrics = stages.iter().flat_map(|stage| {
            let name = |metric: &str| MetricName { stage: stage.stage.stage.clone(), metric: metric.to_owned() };
            stage.metrics.iter().map(move |metric| (name(&metric.name), metric.value))
        });
        Row {
            run: record.id.clone(),
            name: record.name.clone(),
            tags: record.tags.clone(),
            pipeline: provenance.pipeline.clone(),
            outcome: record.outcome.map_or("cut off", |outcome| outcome.as_str()),
            params: provenance.params.clone().into_iter().chain(own.clone()).collect(),
            metrics: metrics.collect(),
            is_complete: stages.iter().all(|stage| stage.key.is_some()),
            stages: stages.into_iter().filter(|stage| stage.key.is_some() || !stage.epochs.is_empty()).cloned().collect(),
            variant,
        }
    };
    match &provenance.variants[..] {
        [] => vec![row(None, &BTreeMap::new())],
        variants => variants.iter().map(|variant| row(Some(variant.variant.clone()), &variant.params)).collect(),
    }
}

/// Leaves one of several rows that are of the same results: one whose run has a name, else the first.
pub fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let mut seen: BTreeMap<(String, Option<VariantName>, Vec<ActionKey>), usize> = BTreeMap::new();
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        let keys: Vec<ActionKey> = row.stages.iter().filter_map(|stage| stage.key).collect();
        match seen.get(&(row.pipeline.clone(), row.variant.clone(), keys.clone())) {
            Some(_) if row.is_complete && row.name.is_none() => {}
            Some(&index) if row.is_complete && kept[index].name.is_none() => kept[index] = row,
            _ => {
                if row.is_complete {
                    seen.insert((row.pipeline.clone(), row.variant.clone(), keys), kept.len());
                }
                kept.push(row);
            }
        }
    }
    kept
}

/// Adds the parameters of stages as `stage.key`, of rows of one pipeline, as far as the cache has their results, for values that are
/// written in stages and not in `params`.
pub fn add_stage_params(rows: &mut [Row], cache: &Cache) -> Result<(), CacheError> {
    if rows.windows(2).any(|pair| pair[0].pipeline != pair[1].pipeline) {
        return Ok(());
    }
    let mut known: BTreeMap<ActionKey, Option<Fingerprint>> = BTreeMap::new();
    for row in rows {
        for stage in &row.stages {
            let Some(key) = stage.key else { continue };
            if let Entry::Vacant(entry) = known.entry(key) {
                entry.insert(cache.action(&key)?.map(|record| record.fingerprint));
            }
            let Some(Some(fingerprint)) = known.get(&key) else { continue };
            let own = fingerprint.leaves().into_iter().map(|(path, value)| (format!("{}.{path}", stage.stage.stage), value));
            row.params.extend(own);
        }
    }
    Ok(())
}

impl Row {
    /// Adds the numbers of trainings at the end of an epoch.
    pub fn add_trainings(&mut self, trainings: &Trainings, at: Option<u32>) {
        for (stage, epochs) in &trainings.0 {
            let Some(epoch) = at.map_or_else(|| epochs.last(), |at| epochs.iter().find(|epoch| epoch.epoch == at)) else { continue };
            let measured = [
                ("epochs", Some(f64::from(epoch.epoch))),
                ("val-accuracy", epoch.val_accuracy),
                ("val-loss", epoch.val_loss),
                ("train-accuracy", Some(epoch.train_accuracy)),
                ("train-loss", Some(epoch.train_loss)),
            ];
            let name = |metric: &str| MetricName { stage: stage.clone(), metric: metric.to_owned() };
            self.metrics.extend(measured.into_iter().filter_map(|(metric, value)| Some((name(metric), value?))));
        }
    }

    /// What stands in a column; `None` where there is nothing.
    pub fn cell<'a>(&'a self, column: &'a Column) -> Option<Cell<'a>> {
        Some(match column {
            Column::Run => Cell::Text(Cow::Borrowed(&self.run)),
            Column::Name => Cell::Text(Cow::Borrowed(self.name.as_ref()?.as_str())),
            Column::Pipeline => Cell::Text(Cow::Borrowed(&self.pipeline)),
            Column::Variant => Cell::Text(Cow::Borrowed(self.variant.as_ref()?.as_str())),
            Column::Tags if self.tags.is_empty() => return None,
            Column::Tags => Cell::Text(Cow::Owned(self.tags.iter().map(Label::as_str).collect::<Vec<_>>().join(" "))),
            Column::Outcome => Cell::Text(Cow::Borrowed(self.outcome)),
            Column::Param(name) => Cell::Value(self.params.get(name)?),
            Column::Metric(name) => Cell::Metric(&name.metric, self.metrics.iter().find(|(own, _)| own == name)?.1),
        })
    }
}

impl Cell<'_> {
    /// The number that it is.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Text(text) => text.parse().ok(),
            Cell::Value(value) => value.as_f64(),
            Cell::Metric(_, value) => Some(*value),
        }
    }

    /// As it is written, not as it is shown: fractions are no percentages.
    pub fn plain(&self) -> String {
        match self {
            Cell::Text(text) => text.clone().into_owned(),
            Cell::Value(Value::String(text)) => text.clone(),
            Cell::Value(value) => value.to_string(),
            Cell::Metric(_, value) => value.to_string(),
        }
    }
}
