//! `cache verify --repair` with a remote cache, and `--rerun` without one.

use std::fs;

use super::{ALL_REUSED, all_files, assert_sound, broken_promises, flip_a_bit, giver, object, project, results};
use crate::harness::Project;

fn verify(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = project.packtrain(&[&["cache", "verify"], arguments].concat());
    (output.code, output.stdout + &output.stderr)
}

#[test]
fn what_is_damaged_or_missing_is_taken_from_the_remote_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("remote").to_str().unwrap().to_owned();
    let project = giver(&remote, &[]);
    let (state, expected) = (project.path(".packtrain"), results(&project));
    flip_a_bit(&object(&state, &expected[0]));
    fs::remove_file(object(&state, &expected[3])).unwrap();
    let record =
        all_files(&state.join("actions")).into_iter().find(|path| fs::read_to_string(path).unwrap().contains("\"bulk.bin\"")).unwrap();
    flip_a_bit(&record);

    let (code, told) = verify(&project, &["--repair", "--remote", &remote]);
    assert_eq!((code, told.matches("; taken from the remote cache\n").count()), (0, 3), "{told}");
    assert!(!told.contains("made again by"), "{told}");
    assert_eq!(fs::read(object(&state, &expected[0])).unwrap(), expected[0]);
    assert_eq!(broken_promises(&state), Vec::<String>::new());
    assert_sound(&project);
    // `stamp` and `bulk` would give something else.
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    assert_eq!(results(&project), expected);
}

#[test]
fn what_the_remote_does_not_have_is_removed_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("remote").to_str().unwrap().to_owned();
    let project = giver(&remote, &[]);
    let (state, expected) = (project.path(".packtrain"), results(&project));
    flip_a_bit(&object(&state, &expected[0]));
    flip_a_bit(&object(&folder.path().join("remote/packtrain-1"), &expected[0]));
    let (code, told) = verify(&project, &["--repair", "--remote", &remote]);
    assert!(code == 0 && told.contains("; removed\n") && told.contains("made again by"), "{told}");
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED.replace("pack reused", "pack ran"));
    assert_eq!(results(&project)[..3], expected[..3]);
}

#[test]
fn a_remote_that_fails_keeps_nothing_from_being_repaired() {
    let project = project();
    project.run(&["small.yaml"]);
    let expected = results(&project);
    flip_a_bit(&object(&project.path(".packtrain"), &expected[2]));
    let (code, told) = verify(&project, &["--repair", "--remote", "not/there"]);
    assert!(code == 0 && told.contains("there is no such folder; repairing without it\n"), "{told}");
    assert!(told.contains("; removed\n"), "{told}");
}

#[test]
fn lost_results_are_made_again_at_once_if_that_is_asked_for() {
    let project = project();
    project.run(&["small.yaml"]);
    let expected = results(&project);
    for lost in &expected[..3] {
        flip_a_bit(&object(&project.path(".packtrain"), lost));
    }
    let (code, told) = verify(&project, &["--rerun"]);
    assert!(code == 0 && told.contains("made again: pack and mean of small\n"), "{told}");
    assert_eq!(results(&project)[..3], expected[..3]);
    assert_sound(&project);
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
}

#[test]
fn a_named_run_is_made_whole_aside_though_its_manifest_has_changed() {
    let project = project();
    project.run(&["small.yaml", "--name", "first", "--until", "mean"]);
    let first = project.read("output/small/pack/train.h5");
    project.edit("small.yaml", "size: 32", "size: 24");
    project.run(&["small.yaml"]);
    let latest = results(&project);
    flip_a_bit(&object(&project.path(".packtrain"), &first));
    let (code, told) = verify(&project, &["--rerun"]);
    assert!(code == 0 && told.contains("made again: pack of small, of the run first\n"), "{told}");
    assert_eq!(fs::read(object(&project.path(".packtrain"), &first)).unwrap(), first);
    // The latest results stand where they stood, and are still the latest.
    assert_eq!(results(&project), latest);
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    assert_sound(&project);
}

#[test]
fn what_cannot_be_made_again_is_said_with_the_command_that_once_made_it() {
    let project = project();
    project.run(&["small.yaml"]);
    flip_a_bit(&object(&project.path(".packtrain"), &results(&project)[0]));
    fs::remove_file(project.path("photos.zip")).unwrap();
    let (code, told) = verify(&project, &["--rerun"]);
    assert!(code == 1 && told.contains("lost results are made again by\n") && told.contains("packtrain run small.yaml"), "{told}");
}
