//! The published JSON Schemas: up to date, of one mind with the loader, and true of what is written.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program as a user does")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use packtrain::artifact::{History, HistoryEpoch, OversampleEvaluation, Predictions, RowLabels};
use packtrain::event::{RunEvent, RunOutcome, SourceChange, SourceChangeKind, SourceCounts, StartingPoint};
use packtrain::key::{StagePath, VariantName};
use packtrain::manifest::{load, schema};
use packtrain::schema::Document;
use serde_json::{Value, json};

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let is_stale = |document: &Document| {
        let committed = fs::read_to_string(root().join("schemas").join(document.file())).unwrap_or_default();
        let generated = format!("{}\n", serde_json::to_string_pretty(&document.schema()).unwrap());
        fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(document.file()), &generated).unwrap();
        committed != generated
    };
    let stale: Vec<String> = Document::ALL.into_iter().filter(is_stale).map(Document::file).collect();
    assert!(stale.is_empty(), "out of date in schemas/: {}; the right ones are in {}", stale.join(", "), env!("CARGO_TARGET_TMPDIR"));
}

#[test]
fn the_program_prints_every_schema() {
    for document in Document::ALL {
        let output = Command::new(env!("CARGO_BIN_EXE_packtrain")).args(["schema", document.name()]).output().unwrap();
        let committed = fs::read(root().join("schemas").join(document.file())).unwrap();
        assert!(output.stdout == committed, "packtrain schema {document}");
    }
}

#[test]
fn what_a_run_writes_fits_the_schemas() {
    let folder = tempfile::tempdir().unwrap();
    packtrain::demo::write_images(&folder.path().join("images"), 1).unwrap();
    fs::create_dir(folder.path().join(".packtrain")).unwrap();
    let manifest = "params: { size: 16 }\nmatrix: { size: [8, 16] }\nstages:\n  \
        pack: { kind: pack, images: images, size: '${size}', split: { test: 5 } }\n  \
        mean: { kind: compute-mean, images: pack.train, per: pixel }\n";
    let run = |manifest: &str, code: i32| {
        fs::write(folder.path().join("m.yaml"), manifest).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_packtrain"));
        let output = command.args(["run", "--json", "m.yaml"]).current_dir(folder.path()).env_remove("PACKTRAIN_STATE").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let lines: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect();
        assert!(lines.len() >= 6);
        lines.iter().for_each(|line| assert_fits(Document::Event, line));
    };
    run(manifest, 0);
    fs::write(folder.path().join("images/circle/broken.jpg"), "no picture").unwrap();
    run(manifest, 1);
    run(&manifest.replace("size: '${size}'", "on-error: skip, size: '${size}'"), 0);

    let records: Vec<_> = fs::read_dir(folder.path().join(".packtrain/runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!records.is_empty());
    records.iter().for_each(|path| assert_fits(Document::Run, &read(path)));
    assert_fits(Document::Mean, &read(&folder.path().join("output/m/size=8/mean/mean.json")));
}

#[test]
fn what_watching_tells_fits_the_schema() {
    let change = SourceChange { path: "photos".into(), how: SourceChangeKind::Added, files: 30 };
    let stage = StagePath { variant: Some(VariantName::new([("lr", "0.1")])), stage: "train".parse().unwrap() };
    let training = Some(StartingPoint { after_epoch: 2, epochs: 6 });
    let events = [
        RunEvent::Watching(SourceCounts { manifests: 1, files: 0, folders: 1, files_in_folders: 3000 }),
        RunEvent::Changed { changes: vec![change] },
        RunEvent::RunSuperseded { wanted: Vec::new(), moot: vec![stage.clone()] },
        RunEvent::StageSuperseded { stage: stage.clone(), training },
        RunEvent::StageFailed { stage, error: "no".to_owned(), training },
        RunEvent::RunFinished { outcome: RunOutcome::Superseded, seconds: 1.0 },
        RunEvent::Unrunnable { problem: "no".to_owned() },
        RunEvent::Polling { reason: "no".to_owned() },
    ];
    events.iter().for_each(|event| assert_fits(Document::Event, &serde_json::to_value(event).unwrap()));
}

#[test]
fn evaluations_and_histories_fit_their_schemas() {
    let rows = RowLabels { labels: vec![0, 1], label_names: vec!["cat".into(), "dog".into()], paths: vec!["a".into(), "b".into()] };
    let predictions = Predictions { probabilities: &[0.75, 0.25, 0.5, 0.5], rows: &rows, class_names: &rows.label_names };
    let evaluation = predictions.evaluate();
    assert_fits(Document::Evaluation, &serde_json::to_value(&evaluation).unwrap());
    let crops = OversampleEvaluation { count: 10, baseline: evaluation.clone(), crops: evaluation, gain: 0.0 };
    assert_fits(Document::Evaluation, &serde_json::to_value(&crops).unwrap());
    let epoch =
        |epoch, val_loss| HistoryEpoch { epoch, learning_rate: 0.1, train_loss: 0.5, train_accuracy: 1.0, val_loss, val_accuracy: None };
    let history = History { epochs: vec![epoch(1, None), epoch(2, Some(0.25))] };
    assert_fits(Document::History, &serde_json::to_value(&history).unwrap());
}

#[test]
fn what_is_wrong_does_not_fit() {
    let refused = |document: Document, value: Value| {
        let validator = jsonschema::validator_for(&document.schema()).unwrap();
        assert!(!validator.is_valid(&value), "{document}: {value}");
    };
    refused(Document::Event, json!({ "event": "stage-exploded", "stage": "pack" }));
    refused(Document::Event, json!({ "event": "run-finished", "outcome": "perhaps", "seconds": 1.0 }));
    refused(Document::Event, json!({ "event": "stage-failed", "stage": "1 pack", "error": "no" }));
    refused(Document::Run, json!({ "format": 1 }));
    refused(Document::Evaluation, json!({ "rows": 1, "rank1": 1.5, "rank5": 1.0, "loss": 0.0, "classes": [], "confusion": [] }));
    refused(Document::History, json!({ "epochs": [{ "epoch": 0 }] }));
    refused(Document::Mean, json!({ "R": 1.0, "G": 2.0 }));
}

#[test]
fn the_schema_of_profiles_takes_what_the_program_takes() {
    let validator = jsonschema::validator_for(&Document::Profiles.schema()).unwrap();
    let fits = |text: &str| validator.is_valid(&serde_saphyr::from_str::<Value>(text).unwrap());
    assert!(fits("laptop: { device: 'cuda:1', jobs: 2, state-dir: /fast, params: { images: /data } }\nempty:\n"));
    for wrong in ["laptop: { devise: cpu }", "laptop: { device: gpu }", "laptop: { jobs: 0 }", "laptop: { params: [a] }", "2nd: {}"] {
        assert!(!fits(wrong), "{wrong}");
    }
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

#[test]
fn every_example_fits_where_it_stands_and_every_key_of_a_manifest_is_described() {
    let mut examples = 0;
    for document in Document::ALL {
        let schema = document.schema();
        each_part(&schema, &mut |part| {
            for example in part["examples"].as_array().into_iter().flatten() {
                // Lets the part's references lead to the definitions of the whole.
                let mut part = part.clone();
                part["$defs"] = schema.get("$defs").cloned().unwrap_or(json!({}));
                assert!(jsonschema::is_valid(&part, example), "{document}: {example}");
                examples += 1;
            }
        });
    }
    assert!(examples > 60, "{examples}");
    let schema = schema();
    each_part(&schema, &mut |part| {
        // Others are conditions.
        let is_form = part.get("type").is_some();
        for (key, value) in part["properties"].as_object().filter(|_| is_form).into_iter().flatten() {
            let explains_itself = |value: &Value| value.get("description").is_some() || value.get("$ref").is_some();
            let choices = value["anyOf"].as_array().into_iter().flatten();
            assert!(explains_itself(value) || choices.clone().any(explains_itself) || part.get("description").is_some(), "{key}: {part}");
        }
    });
}

/// Calls for every part of a schema that is a map.
fn each_part(schema: &Value, visit: &mut impl FnMut(&Value)) {
    match schema {
        Value::Object(members) => {
            visit(schema);
            members.iter().filter(|(name, _)| *name != "examples").for_each(|(_, part)| each_part(part, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| each_part(item, visit)),
        _ => {}
    }
}

fn assert_fits(document: Document, value: &Value) {
    let validator = jsonschema::validator_for(&document.schema()).unwrap();
    let problems: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new(), "{document}: {value}");
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
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
