//! `packtrain check`: a stage run again, aside, gives what it gave or not.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Project, sorted};

const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: images, size: 16, split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
  time:
    kind: command
    run: 'echo $FACTOR; cp {inputs.mean} copy; date +%s%N > {outputs.time}'
    inputs: { mean: mean }
    outputs: { time: { file: time.txt } }
  noise:
    kind: command
    run: [python3, -c, 'import random, sys; print(1 + random.random() / 1e4, file=open(sys.argv[1], \"w\"))', '{outputs.loss}']
    outputs: { loss: { file: loss.csv, type: table } }
";

fn project() -> Project {
    let project = Project::with_images(4);
    project.write("small.yaml", PIPELINE);
    project.run(&["small.yaml"]);
    project
}

/// The exit code and what is said on standard output.
fn check(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = project.packtrain(&[&["check", "small.yaml"], arguments].concat());
    (output.code, output.stdout + &output.stderr[..output.stderr.find("error").map_or(0, |_| output.stderr.len())])
}

/// All files of a folder with their content.
fn content(project: &Project, folder: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![project.path(folder)];
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder) {
            if path.is_dir() { folders.push(path) } else { files.push((path.clone(), fs::read(&path).unwrap())) }
        }
    }
    files
}

#[test]
fn a_stage_that_gives_the_same_bytes_is_bit_exact_and_that_is_remembered() {
    let project = project();
    let before = [content(&project, "output"), content(&project, ".packtrain/objects")];
    assert_eq!(check(&project, &["pack"]), (0, "pack is bit-exact\n".to_owned()));
    assert_eq!(check(&project, &["mean"]), (0, "mean is bit-exact\n".to_owned()));
    assert!([content(&project, "output"), content(&project, ".packtrain/objects")] == before, "nothing is published");
    assert!(sorted(&project.path(".packtrain/work")).is_empty());
    let status = project.packtrain(&["status", "small.yaml"]).stdout;
    let checked: Vec<bool> = status.lines().map(|line| line.ends_with("bit-exact")).collect();
    assert_eq!(checked, [false, true, true, false, false], "{status}");
    let explained = project.packtrain(&["explain", "small.yaml", "pack"]).stdout;
    assert!(explained.contains("  checked  bit-exact by a rerun with packtrain "), "{explained}");
    assert_eq!(project.run(&["small.yaml"]), "pack reused\nmean reused\ntime reused\nnoise reused\n");
}

#[test]
fn a_command_that_writes_the_time_is_different() {
    let project = project();
    let (code, told) = check(&project, &["time"]);
    assert_eq!(code, 5, "{told}");
    assert!(told.starts_with("time is different\n  time: ") && told.contains(" of 20 bytes differ, first at byte "), "{told}");
    let status = project.packtrain(&["status", "small.yaml"]).stdout;
    assert!(status.lines().nth(3).unwrap().ends_with("  different"), "{status}");
    assert_eq!(check(&project, &["time"]).0, 5, "the verdict of one rerun does not spare the next");
}

#[test]
fn numbers_may_differ_by_the_tolerance_and_no_more() {
    let project = project();
    let (code, told) = check(&project, &["noise", "--tolerance", "1e-4"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("noise is within tolerance\n  loss: 1 of 1 numbers differ, the most by "), "{told}");
    assert!(told.ends_with(" of its size, at line 1, column 1\n"), "{told}");
    let output = project.packtrain(&["check", "small.yaml", "noise", "--tolerance", "1e-14", "--json"]);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((output.code, &told[0]["verdict"], &told[0]["stage"]), (5, &json!("different"), &json!("noise")));
    assert_eq!((&told[0]["outputs"][0]["distance"], &told[0]["outputs"][0]["differing"]), (&json!("numbers"), &json!(1)));
}

#[test]
fn no_row_is_copied_by_a_check() {
    let project = project();
    let output = project.packtrain(&["check", "small.yaml", "pack"]);
    assert!(output.stderr.contains("pack  done in ") && !output.stderr.contains("reused"), "{}", output.stderr);
}

#[test]
fn what_has_no_result_cannot_be_checked_nor_what_fails_now() {
    let project = project();
    project.edit("small.yaml", "size: 16", "size: 20");
    let (code, told) = check(&project, &["mean"]);
    assert_eq!((code, told.as_str()), (1, "error: mean cannot be checked: pack has no result for its present inputs; run it first\n"));
    assert_eq!(check(&project, &["cow"]).0, 2);
}
