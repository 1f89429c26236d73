//! The published JSON Schema: up to date, and of one mind with the loader.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use packtrain::manifest::{load, schema};
use serde_json::Value;

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed = fs::read_to_string(root().join("schemas/pipeline.schema.json")).unwrap();
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipeline.schema.json");
    fs::write(&fresh, &generated).unwrap();
    assert!(committed == generated, "schemas/pipeline.schema.json is out of date; the right one is {}", fresh.display());
}

#[test]
fn every_shipped_manifest_fits_the_schema() {
    let manifests = manifests("pipelines");
    assert!(manifests.len() >= 3);
    for path in manifests {
        assert_eq!(schema_problems(&path), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn every_valid_sample_fits_the_schema_and_loads() {
    for path in manifests("tests/manifests/valid") {
        assert_eq!(schema_problems(&path), Vec::<String>::new(), "{}", path.display());
        if let Err(errors) = load(&path, &[], &root()) {
            panic!("{errors}");
        }
    }
}

#[test]
fn every_invalid_sample_is_refused_by_the_schema_and_by_the_loader() {
    let manifests = manifests("tests/manifests/invalid");
    assert!(manifests.len() >= 8);
    for path in manifests {
        assert_ne!(schema_problems(&path), Vec::<String>::new(), "{}", path.display());
        assert!(load(&path, &[], &root()).is_err(), "{}", path.display());
    }
}

#[test]
fn descriptions_defaults_and_bounds_reach_the_schema() {
    let schema = schema();
    let folds = schema.pointer("/$defs/LogisticRegression/properties/folds").unwrap();
    assert!(folds["description"].as_str().unwrap().starts_with("Folds of the cross-validation"));
    assert_eq!(folds["default"], 3);
    assert_eq!(folds["anyOf"][0]["minimum"], 2);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifests(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    paths.sort();
    paths
}

fn schema_problems(path: &Path) -> Vec<String> {
    let manifest: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema()).unwrap();
    validator.iter_errors(&manifest).map(|error| error.to_string()).collect()
}
