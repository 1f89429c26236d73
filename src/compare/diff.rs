//! What differs between two runs.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cache::{Cache, CacheError};
use crate::compare::Nature;
use crate::key::{ActionKey, Change, Digest, Listing, StagePath};
use crate::record::{RunRecord, StageRecord, StageState};

/// How a run differs from an earlier one. Stages of variants are matched by the variants' names.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunDiff {
    pub old: RunSide,
    pub new: RunSide,
    /// Of the manifests.
    pub params: Vec<Differing>,
    pub stages: Vec<StageDiff>,
    pub only_old: Vec<StagePath>,
    pub only_new: Vec<StagePath>,
    /// How many stages have the same result.
    pub same: usize,
    pub metrics: Vec<MetricDiff>,
    pub times: Vec<StageTimes>,
    pub environment: Vec<Differing>,
}

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunSide {
    pub id: String,
    pub name: Option<String>,
    pub pipeline: String,
    pub started: String,
}

/// A value that differs; null where it is not given or not known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    /// In a matrix, preceded by the variant.
    pub what: String,
    pub old: Value,
    pub new: Value,
}

/// A stage whose result is another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StageDiff {
    #[serde(flatten)]
    pub stage: StagePath,
    pub old_state: StageState,
    pub new_state: StageState,
    /// Null if the cache does not know any more what one of them was made of, or if one was not made.
    pub changes: Option<Vec<Change>>,
}

/// A metric in both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricDiff {
    #[serde(flatten)]
    pub stage: StagePath,
    pub metric: String,
    pub old: Option<f64>,
    pub new: Option<f64>,
    /// Null where neither way is better.
    pub better: Option<bool>,
}

/// How long a stage took in seconds, each time that it ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTimes {
    #[serde(flatten)]
    pub stage: StagePath,
    pub old: f64,
    pub new: f64,
}

/// How `new` differs from `old`.
pub fn diff(old: &RunRecord, new: &RunRecord, cache: &Cache) -> Result<RunDiff, CacheError> {
    let pairs: Vec<(&StageRecord, &StageRecord)> = new.stages.iter().filter_map(|stage| Some((find(old, &stage.stage)?, stage))).collect();
    let differing = pairs.iter().filter(|(old, new)| old.key != new.key || old.key.is_none());
    let stages = differing.clone().map(|(old, new)| stage_diff(old, new, cache)).collect::<Result<_, _>>()?;
    let missing_in = |run: &RunRecord, others: &RunRecord| -> Vec<StagePath> {
        others.stages.iter().filter(|stage| find(run, &stage.stage).is_none()).map(|stage| stage.stage.clone()).collect()
    };
    let times = pairs.iter().filter(|(old, new)| old.key.is_some() && new.key.is_some() && (old.key != new.key || ran(new)));
    Ok(RunDiff {
        old: side(old),
        new: side(new),
        params: params(old, new),
        stages,
        only_old: missing_in(new, old),
        only_new: missing_in(old, new),
        same: pairs.len() - differing.count(),
        metrics: pairs.iter().flat_map(|(old, new)| metrics(old, new)).collect(),
        times: times.map(|(old, new)| StageTimes { stage: new.stage.clone(), old: old.seconds, new: new.seconds }).collect(),
        environment: environment(old, new),
    })
}

fn find<'a>(run: &'a RunRecord, stage: &StagePath) -> Option<&'a StageRecord> {
    run.stages.iter().find(|own| own.stage == *stage)
}

fn ran(stage: &StageRecord) -> bool {
    matches!(stage.state, StageState::Finished | StageState::Unpublished)
}

fn side(run: &RunRecord) -> RunSide {
    let RunRecord { id, name, provenance, .. } = run;
    let name = name.as_ref().map(|name| name.to_string());
    RunSide { id: id.clone(), name, pipeline: provenance.pipeline.clone(), started: provenance.started.clone() }
}

/// Of variants only those that both runs have.
fn params(old: &RunRecord, new: &RunRecord) -> Vec<Differing> {
    let (old, new) = (&old.provenance, &new.provenance);
    let mut all = differing(&old.params, &new.params, "");
    for variant in &new.variants {
        if let Some(earlier) = old.variants.iter().find(|earlier| earlier.variant == variant.variant) {
            all.extend(differing(&earlier.params, &variant.params, &format!("{}/", variant.variant)));
        }
    }
    all
}

type Values = std::collections::BTreeMap<String, Value>;

fn differing(old: &Values, new: &Values, before: &str) -> Vec<Differing> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let value = |values: &Values, name: &String| values.get(name).cloned().unwrap_or_default();
    let pair = |name: &String| Differing { what: format!("{before}{name}"), old: value(old, name), new: value(new, name) };
    names.into_iter().map(pair).filter(|pair| pair.old != pair.new).collect()
}

fn stage_diff(old: &StageRecord, new: &StageRecord, cache: &Cache) -> Result<StageDiff, CacheError> {
    let fingerprint = |key: Option<ActionKey>| -> Result<_, CacheError> {
        Ok(key.map(|key| cache.action(&key)).transpose()?.flatten().map(|record| record.fingerprint))
    };
    let changes = match (fingerprint(old.key)?, fingerprint(new.key)?) {
        (Some(old), Some(new)) => {
            let of_images = new.kind != "command";
            Some(new.changes_from(&old).into_iter().map(|change| by_file(change, of_images, cache)).collect())
        }
        _ => None,
    };
    Ok(StageDiff { stage: new.stage.clone(), old_state: old.state, new_state: new.state, changes })
}

/// A change of a folder or an archive, told by its files where the cache has both lists.
fn by_file(change: Change, of_images: bool, cache: &Cache) -> Change {
    let Change::Input { name, old: Some(old), new: Some(new) } = &change else { return change };
    let (Some(old), Some(new)) = (listing(old, cache), listing(new, cache)) else { return change };
    let (name, diff) = (name.clone(), new.diff_from(&old));
    if of_images { Change::Images { name, diff } } else { Change::Files { name, diff } }
}

fn listing(digest: &Digest, cache: &Cache) -> Option<Listing> {
    Listing::parse(std::str::from_utf8(&cache.store().read(digest)?).ok()?)
}

/// Those that differ, and those that only one of the two has.
fn metrics(old: &StageRecord, new: &StageRecord) -> Vec<MetricDiff> {
    let value = |stage: &StageRecord, name: &str| stage.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value);
    let mut names: Vec<&str> = Vec::new();
    for metric in old.metrics.iter().chain(&new.metrics) {
        if !names.contains(&metric.name.as_str()) {
            names.push(&metric.name);
        }
    }
    let pair = |name: &str| {
        let (old, new_value) = (value(old, name), value(new, name));
        let better = old.zip(new_value).and_then(|(old, new)| Nature::of(name).is_better(new - old));
        MetricDiff { stage: new.stage.clone(), metric: name.to_owned(), old, new: new_value, better }
    };
    names.into_iter().map(pair).collect()
}

fn environment(old: &RunRecord, new: &RunRecord) -> Vec<Differing> {
    let [old, new] = [old, new].map(surroundings);
    let pairs = old.into_iter().zip(new);
    pairs.map(|((what, old), (_, new))| Differing { what: what.to_owned(), old, new }).filter(|pair| pair.old != pair.new).collect()
}

/// What a run's numbers and times may depend on besides the keys; null where it is not known.
fn surroundings(run: &RunRecord) -> [(&'static str, Value); 8] {
    let provenance = &run.provenance;
    let machine = provenance.environment.as_ref();
    let used = |of: fn(&StageRecord) -> Option<&String>| {
        let used: BTreeSet<&String> = run.stages.iter().filter_map(of).collect();
        if used.is_empty() { Value::Null } else { json!(used.into_iter().cloned().collect::<Vec<_>>().join(", ")) }
    };
    let dirty = if provenance.git_dirty == Some(true) { ", with changes" } else { "" };
    [
        ("packtrain", json!(provenance.tool)),
        ("libtorch", used(|stage| stage.output.libtorch.as_ref())),
        ("device", used(|stage| stage.output.device.as_ref())),
        ("processor", json!(machine.and_then(|machine| machine.cpu.as_ref()))),
        ("cores", json!(machine.map(|machine| machine.cores))),
        ("system", json!(machine.and_then(|machine| machine.system.as_ref()))),
        ("kernel", json!(machine.and_then(|machine| machine.kernel.as_ref()))),
        ("commit", json!(provenance.git_commit.as_ref().map(|commit| format!("{commit}{dirty}")))),
    ]
}
