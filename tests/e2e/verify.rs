//! `packtrain cache verify`: damage of every kind is found, named, and healed by the next run.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use packtrain::cache::{ActionRecord, Cache};
use packtrain::key::{ActionKey, Fingerprint, TrajectoryKey};
use serde_json::{Value, json};

use crate::harness::{Project, sorted};

const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: photos.zip, size: 32, split: { val: 0.4 } }
  mean: { kind: compute-mean, images: pack.train }
";

const ALL_REUSED: &str = "pack reused\nmean reused\n";
const FILES: [&str; 3] = ["pack/train.h5", "pack/val.h5", "mean/mean.json"];

/// Has run once.
fn project() -> Project {
    let project = Project::new();
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives/photos.zip"), project.path("photos.zip")).unwrap();
    project.write("small.yaml", PIPELINE);
    project.run(&["small.yaml"]);
    project
}

fn results(project: &Project) -> Vec<Vec<u8>> {
    FILES.iter().map(|file| project.read(&format!("output/small/{file}"))).collect()
}

/// Verifies; gives the exit code and what was said.
fn verify(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = project.packtrain(&[&["cache", "verify"], arguments].concat());
    (output.code, output.stdout + &output.stderr)
}

/// The record of the last result of a stage.
fn last(project: &Project, stage: &str) -> ActionRecord {
    let cache = Cache::open(&project.path(".packtrain")).unwrap();
    cache.action(&cache.heads("small")[&stage.parse().unwrap()]).unwrap().unwrap()
}

/// A state of a training as `train` would have kept it.
fn keep_checkpoint(project: &Project) {
    let cache = Cache::open(&project.path(".packtrain")).unwrap();
    let start = Fingerprint { kind: "train".into(), version: 0, parameters: json!({}), inputs: BTreeMap::new(), seed: None };
    project.write("state", "weights");
    cache.keep_checkpoint(&TrajectoryKey::start(&start).after(0.1), 1, &project.path("state")).unwrap();
    cache.memo().save().unwrap();
}

/// The files of the state folder that packtrain reads again, relative to it.
fn all_files(project: &Project) -> Vec<PathBuf> {
    let state = project.path(".packtrain");
    let mut files = vec![PathBuf::from("index")];
    let mut folders: Vec<PathBuf> = ["objects", "actions", "checkpoints", "heads", "listings", "runs"].map(|name| state.join(name)).into();
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder) {
            if path.is_dir() { folders.push(path) } else { files.push(path.strip_prefix(&state).unwrap().to_owned()) }
        }
    }
    files
}

fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_any_file_is_found_repaired_and_made_good_by_the_next_run() {
    let project = project();
    keep_checkpoint(&project);
    let expected = results(&project);
    assert_eq!(verify(&project, &[]).0, 0);
    let files = all_files(&project);
    for folder in ["objects", "actions", "checkpoints", "heads", "listings", "runs", "index"] {
        assert!(files.iter().any(|file| file.starts_with(folder)), "{folder}: {files:?}");
    }
    for file in &files {
        let path = project.path(".packtrain").join(file);
        if !path.exists() {
            continue;
        }
        flip_a_bit(&path);
        let (code, told) = verify(&project, &[]);
        assert_eq!(code, 4, "{}: {told}", file.display());
        assert!(told.contains(file.to_str().unwrap()), "{}: {told}", file.display());
        let (code, told) = verify(&project, &["--repair"]);
        assert_eq!(code, 0, "{}: {told}", file.display());
        assert!(told.contains("; removed\n"), "{told}");
        assert_eq!(verify(&project, &[]).0, 0, "{}", file.display());
        project.run(&["small.yaml"]);
        assert_eq!(results(&project), expected, "{}", file.display());
        let (code, told) = verify(&project, &[]);
        assert_eq!(code, 0, "{}: {told}", file.display());
    }
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
}

#[test]
fn a_flipped_bit_in_a_result_is_made_good_by_the_next_run_without_a_repair() {
    let project = project();
    let expected = results(&project);
    for file in all_files(&project) {
        flip_a_bit(&project.path(".packtrain").join(file));
    }
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nmean ran\n");
    assert_eq!(results(&project), expected);
    let (code, told) = verify(&project, &["--repair"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn the_results_that_damage_concerns_are_named_with_the_command_that_makes_them_again() {
    let project = project();
    let train = last(&project, "pack").outputs["train"].digest.to_string();
    let file = format!("objects/{}/{}", &train[..2], &train[2..]);
    fs::remove_file(project.path(".packtrain").join(&file)).unwrap();
    let (code, told) = verify(&project, &[]);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(code, 4);
    assert_eq!(lines[0], format!("missing object  {file}: output train of small/pack"));
    assert!(lines[1].starts_with("read 5 objects, ") && lines[1].ends_with(" records: 1 not sound"), "{told}");
    assert_eq!(lines[3], "lost results are made again by");
    assert!(lines[4].ends_with("packtrain run small.yaml"), "{told}");

    let output = project.packtrain(&["cache", "verify", "--json", "--repair"]);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let problem = &told["found"]["problems"][0];
    assert_eq!([&problem["damage"], &problem["file"], &problem["fate"]], [&json!("missing-object"), &json!(file), &json!("repaired")]);
    let concern = &problem["concerns"][0];
    assert_eq!([&concern["stage"], &concern["part"], &concern["output"]], [&json!("pack"), &json!("output"), &json!("train")]);
    assert_eq!(told["commands"].as_array().unwrap().len(), 1);
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nmean reused\n");
}

#[test]
fn what_an_earlier_result_lost_is_told_as_such_and_needs_no_command() {
    let project = project();
    let earlier = last(&project, "pack");
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let key: ActionKey = earlier.fingerprint.key();
    let object = Cache::open(&project.path(".packtrain")).unwrap().store().path(&earlier.outputs["val"].digest);
    flip_a_bit(&object);
    let (code, told) = verify(&project, &["--repair"]);
    assert_eq!(code, 0);
    assert!(told.contains(": output val of small/pack, of an earlier run; removed\n"), "{told}");
    assert!(!told.contains("made again by"), "{told}");
    assert!(!project.path(&format!(".packtrain/actions/{key}.json")).exists());
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
}

#[test]
fn a_run_whose_record_was_changed_is_told_and_keeps_what_it_kept() {
    let project = project();
    project.run(&["small.yaml", "--name", "first"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let is_first = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("\"first\"");
    let record = sorted(&project.path(".packtrain/runs")).into_iter().find(is_first).unwrap();
    let text = fs::read_to_string(&record).unwrap().replacen("\"outcome\": \"succeeded\"", "\"outcome\": \"failed\"", 1);
    fs::write(&record, text).unwrap();

    let history = project.packtrain(&["history"]);
    assert_eq!((history.code, history.stdout.lines().count()), (0, 3), "{}{}", history.stdout, history.stderr);
    assert!(history.stderr.contains("it is damaged"), "{}", history.stderr);
    let shown = project.packtrain(&["metrics", "first"]);
    assert!(shown.code == 4 && shown.stderr.contains("packtrain cache verify"), "{}", shown.stderr);
    let gc = project.packtrain(&["cache", "gc", "--older-than", "0d"]);
    assert!(gc.code == 0 && !gc.stdout.contains("earlier results"), "{}", gc.stdout);

    let (code, told) = verify(&project, &[]);
    let name = record.file_name().unwrap().to_str().unwrap();
    assert!(code == 4 && told.contains(&format!("damaged record of a run  runs/{name}\n")), "{told}");
    let (code, told) = verify(&project, &["--repair"]);
    assert!(code == 0 && told.contains("is gone from the history"), "{told}");
    assert_eq!((verify(&project, &[]).0, project.packtrain(&["history"]).stderr.as_str()), (0, ""));
}

#[test]
fn verifications_and_repairs_beside_runs_find_nothing_and_take_nothing() {
    let project = project();
    for round in 0..3 {
        let mut run = project.start(&["run", "small.yaml", "--force", "pack", "--force", "mean"]);
        let mut verifications = 0;
        while run.try_wait().unwrap().is_none() {
            let (code, told) = verify(&project, &["--repair"]);
            assert_eq!(code, 0, "{told}");
            assert!(told.ends_with(": all sound\n"), "{told}");
            verifications += 1;
        }
        assert!(run.wait().unwrap().success() && verifications > 0, "round {round}");
        assert_eq!(project.run(&["small.yaml"]), ALL_REUSED, "round {round}");
    }
}

#[test]
fn a_sample_says_what_it_left_out() {
    let project = project();
    let (code, told) = verify(&project, &["--sample", "0%"]);
    assert_eq!(code, 0);
    assert!(told.starts_with("read 0 objects, 0 B, and ") && told.ends_with("; 6 objects were left out\n"), "{told}");
    let (code, told) = verify(&project, &["--sample", "120%"]);
    assert_eq!(code, 2);
    assert!(told.contains("`120%` is no share; write 10%"), "{told}");
}
