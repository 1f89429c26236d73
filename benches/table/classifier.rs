//! Logistic regression on features, chosen from a grid.

use std::fs;
use std::path::Path;

use packtrain::artifact::{FeaturesWriter, RowLabels};

use crate::bench::{Bench, last_run, packtrain};
use crate::error::BenchError;
use crate::measure;
use crate::row::{Aim, Contest, Row, Side, Unit};

const ROWS: usize = 3_000;
const DIMENSIONS: usize = 2_048;

const PACKAGES: [&str; 2] = ["h5py==3.16.0", "scikit-learn==1.9.1"];

const MANIFEST: &str = "name: bench
stages:
  train:
    kind: train
    train: { file: features.h5 }
    model: { logistic-regression: { c: [1.0e-4, 1.0e-3, 1.0e-2, 1.0e-1, 1.0], folds: 3 } }
";

const PEER: &str = "scikit-learn, two processes";

pub fn rows() -> Vec<Row> {
    vec![Row::new("logistic", "logistic regression on 3,000×2,048 features, five values of C, 3 folds", Unit::Seconds, logistic)]
}

fn logistic(bench: &Bench) -> Result<Contest, BenchError> {
    let folder = bench.path("logistic");
    fs::create_dir_all(&folder).map_err(BenchError::at(&folder))?;
    let features = folder.join("features.h5");
    write_features(&features).map_err(|error| BenchError::Unexpected(error.to_string()))?;
    let manifest = folder.join("bench.yaml");
    fs::write(&manifest, MANIFEST).map_err(BenchError::at(&manifest))?;
    let peer = bench.peers.script(PEER, &PACKAGES, "logistic.py", &[&features])?;
    let ours = Side::new("packtrain", move || train(&folder));
    let aim = Aim::Times { side: PEER.to_owned(), factor: 3.0 };
    Ok(Contest { ours, others: peer.into_iter().collect(), stated: Vec::new(), aim })
}

/// Seconds of a whole run, from the features to the model in the cache.
fn train(folder: &Path) -> Result<f64, BenchError> {
    let state = folder.join(".packtrain");
    if state.exists() {
        fs::remove_dir_all(&state).map_err(BenchError::at(&state))?;
    }
    fs::create_dir(&state).map_err(BenchError::at(&state))?;
    let cost = measure::run(&mut packtrain(folder, &["run", "bench.yaml"]))?;
    last_run(&state.join("runs"))?;
    Ok(cost.seconds)
}

/// Two classes whose features, as those behind a ReLU, are often 0, and which can mostly be told apart.
fn write_features(path: &Path) -> Result<(), packtrain::artifact::ArtifactError> {
    let mut dice = blake3::Hasher::new().update(b"features").finalize_xof();
    let direction: Vec<f32> = (0..DIMENSIONS).map(|_| 0.02 * normal(&mut dice)).collect();
    let labels: Vec<i64> = (0..ROWS).map(|row| (row % 2) as i64).collect();
    let paths = (0..ROWS).map(|row| row.to_string()).collect();
    let rows = RowLabels { labels, label_names: vec!["cats".to_owned(), "dogs".to_owned()], paths };
    let mut writer = FeaturesWriter::create(path, DIMENSIONS, &rows)?;
    for label in &rows.labels {
        let side = (label * 2 - 1) as f32;
        let row: Vec<f32> = direction.iter().map(|along| (0.4 + 0.45 * normal(&mut dice) + side * along).max(0.0)).collect();
        writer.append(&row)?;
    }
    writer.finish()
}

/// A draw of nearly the standard normal distribution: twelve even ones, summed.
fn normal(dice: &mut blake3::OutputReader) -> f32 {
    let mut draws = [0; 12];
    dice.fill(&mut draws);
    draws.iter().map(|draw| (f32::from(*draw) + 0.5) / 256.0).sum::<f32>() - 6.0
}
