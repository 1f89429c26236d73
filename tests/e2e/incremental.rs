//! Rows of earlier results are copied, and nobody can tell from the bytes.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use crate::harness::{Project, sorted, timeless};

/// Of 50 images: 30, 10 and 10.
const PIPELINE: &str = "
name: small
seed: 1
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { val: 0.2, test: 0.2 }
";

/// A project with 50 images that was run once.
fn packed() -> Project {
    let project = Project::with_images(10);
    project.write("small.yaml", PIPELINE);
    assert_eq!(project.run(&["small.yaml"]), "pack ran\n");
    project
}

/// Runs, checks that every output is what a project without a past makes of the same images, and says what became of `pack`.
fn run(project: &Project) -> String {
    let result = project.run(&["small.yaml"]);
    let fresh = Project::new();
    copy_folder(&project.path("images"), &fresh.path("images"));
    fresh.write("small.yaml", &String::from_utf8(project.read("small.yaml")).unwrap());
    if project.path("labels.csv").exists() {
        fresh.write("labels.csv", &String::from_utf8(project.read("labels.csv")).unwrap());
    }
    assert!(!fresh.run(&["small.yaml"]).contains("rows reused"));
    let outputs = sorted(&fresh.path("output/small/pack"));
    assert!(!outputs.is_empty());
    for output in outputs {
        let name = format!("output/small/pack/{}", output.file_name().unwrap().to_str().unwrap());
        assert!(project.read(&name) == fresh.read(&name), "{name} is not what it is from scratch");
    }
    result
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in sorted(from) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_folder(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

/// The path of an image relative to the project.
pub fn image(project: &Project, class: usize, number: usize) -> String {
    let class = &sorted(&project.path("images"))[class];
    sorted(class)[number].strip_prefix(project.path("")).unwrap().to_str().unwrap().to_owned()
}

/// An image that is nowhere else in the project.
pub fn write_new_image(project: &Project, path: &str, tint: u8) {
    let picture = packtrain::artifact::Picture { width: 40, height: 30, pixels: (0..3600).map(|at| (at % 251) as u8 ^ tint).collect() };
    fs::write(project.path(path), picture.encode_jpeg(90).unwrap()).unwrap();
}

pub fn rename(project: &Project, from: &str, to: &str) {
    fs::rename(project.path(from), project.path(to)).unwrap();
}

#[test]
fn only_new_images_are_decoded() {
    let project = packed();
    let class = image(&project, 0, 0).rsplit_once('/').unwrap().0.to_owned();
    write_new_image(&project, &format!("{class}/a-new-one.jpg"), 1);
    write_new_image(&project, &format!("{class}/z-new-one.jpg"), 2);
    let plan = timeless(&project.packtrain(&["plan", "small.yaml"]).stdout);
    assert!(plan.contains("run  about T  input `images`: 2 images added; 50 of 52 rows reused\n"), "{plan}");
    let explained = project.packtrain(&["explain", "small.yaml", "pack"]).stdout;
    assert!(explained.contains("  50 of 52 rows reused from earlier results\n"), "{explained}");
    let json = project.packtrain(&["explain", "small.yaml", "pack", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"], serde_json::json!({ "reused": 50, "made": 2 }));
    assert_eq!(run(&project), "pack ran, 50 of 52 rows reused\n");
    assert_eq!(run(&project), "pack reused\n");
    let explained = project.packtrain(&["explain", "small.yaml", "pack"]).stdout;
    assert!(explained.contains("  rows     50 of 52 rows reused from earlier results\n"), "{explained}");
}

#[test]
fn a_changed_image_is_decoded_again_and_an_image_with_its_old_content_is_not() {
    let project = packed();
    let changed = image(&project, 1, 3);
    let old = project.read(&changed);
    write_new_image(&project, &changed, 3);
    assert_eq!(run(&project), "pack ran, 49 of 50 rows reused\n");
    fs::write(project.path(&changed).with_file_name("again.jpg"), old).unwrap();
    assert_eq!(run(&project), "pack ran, 51 of 51 rows reused\n", "the first result still has it");
}

#[test]
fn renamed_moved_and_doubled_images_are_copied_and_removed_ones_are_gone() {
    let project = packed();
    let (first, second, third) = (image(&project, 0, 0), image(&project, 0, 1), image(&project, 0, 2));
    rename(&project, &first, &format!("{first}-renamed.jpg"));
    let other_class = image(&project, 4, 0).rsplit_once('/').unwrap().0.to_owned();
    rename(&project, &second, &format!("{other_class}/moved.jpg"));
    fs::copy(project.path(&third), project.path(&format!("{third}-copy.jpg"))).unwrap();
    assert_eq!(run(&project), "pack ran, 51 of 51 rows reused\n");
    fs::remove_file(project.path(&third)).unwrap();
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
}

#[test]
fn labels_split_and_seed_cost_no_decoding() {
    let project = packed();
    project.edit("small.yaml", "val: 0.2, test: 0.2", "val: 7");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
    project.edit("small.yaml", "    size: 32", "    labels: { filename: '(\\d)\\.' }\n    size: 32");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
    project.edit("small.yaml", "    size: 32", "    on-error: skip\n    size: 32");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
}

#[test]
fn what_decides_a_row_leaves_nothing_to_reuse_until_it_is_as_before() {
    let project = packed();
    project.edit("small.yaml", "size: 32", "size: 24");
    assert_eq!(run(&project), "pack ran\n");
    project.edit("small.yaml", "size: 24", "size: 24\n    fit: stretch");
    assert_eq!(run(&project), "pack ran\n");
    project.edit("small.yaml", "size: 24\n    fit: stretch", "size: 32").edit("small.yaml", "val: 0.2", "val: 0.1");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
}

#[test]
fn rows_of_another_pipeline_and_of_other_sources_are_reused() {
    let project = packed();
    let class = |number: usize| image(&project, number, 0).rsplit_once('/').unwrap().0.to_owned();
    let (train, val) = (class(0), class(1));
    let source = |part: &str, folder: &str| format!("      {part}: {{ images: {folder}, labels: {{ filename: '(\\d)\\.' }} }}\n");
    let sources = format!("    sources:\n{}{}", source("train", &train), source("val", &val));
    let old = "    images: images\n    size: 32\n    split: { val: 0.2, test: 0.2 }\n";
    project.edit("small.yaml", "name: small", "name: other").edit("small.yaml", old, &format!("{sources}    size: 32\n"));
    assert_eq!(project.run(&["small.yaml"]), "pack ran, 20 of 20 rows reused\n");
}

#[test]
fn images_of_one_name_in_two_folders_are_told_apart() {
    let project = Project::with_images(10);
    let class = |number: usize| image(&project, number, 0).rsplit_once('/').unwrap().0.to_owned();
    let (train, val) = (class(0), class(1));
    for (number, name) in ["both-1.jpg", "both-2.jpg"].into_iter().enumerate() {
        write_new_image(&project, &format!("{train}/{name}"), 10 + number as u8);
        write_new_image(&project, &format!("{val}/{name}"), 20 + number as u8);
    }
    let source = |part: &str, folder: &str| format!("      {part}: {{ images: {folder}, labels: {{ filename: '(\\d)\\.' }} }}\n");
    let sources = format!("    sources:\n{}{}", source("train", &train), source("val", &val));
    let stage = format!("name: two\nstages:\n  pack:\n    kind: pack\n{sources}    size: 32\n");
    assert_eq!(project.write("two.yaml", &stage).run(&["two.yaml"]), "pack ran\n");
    project.write("small.yaml", PIPELINE);
    assert_eq!(run(&project), "pack ran, 24 of 54 rows reused\n");
}

#[test]
fn no_row_is_taken_from_a_damaged_file() {
    let project = packed();
    let train = project.read("output/small/pack/train.h5");
    let objects = sorted(&project.path(".packtrain/objects")).into_iter().flat_map(|folder| sorted(&folder));
    for object in objects.filter(|object| fs::read(object).unwrap() == train) {
        let mut damaged = train.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&object, damaged).unwrap();
    }
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "pack ran, 20 of 50 rows reused\n");
    project.edit("small.yaml", "seed: 2", "seed: 1");
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n", "what was lost is healed from the second result");
}

#[test]
fn the_garbage_collection_leaves_what_rows_are_found_by() {
    let project = packed();
    assert_eq!(project.packtrain(&["cache", "gc", "--older-than", "0s"]).code, 0);
    let first = image(&project, 0, 0);
    rename(&project, &first, &format!("{first}-renamed.jpg"));
    assert_eq!(run(&project), "pack ran, 50 of 50 rows reused\n");
}

#[test]
fn a_stage_that_is_forced_decodes_everything() {
    let project = packed();
    assert_eq!(project.run(&["small.yaml", "--force", "pack"]), "pack ran\n");
}

#[test]
fn unreadable_images_are_left_out_as_from_scratch() {
    let project = packed();
    project.edit("small.yaml", "    size: 32", "    on-error: skip\n    size: 32");
    let broken = image(&project, 2, 2);
    fs::write(project.path(&broken), b"no image").unwrap();
    assert_eq!(run(&project), "pack ran, 1 unreadable image left out, 49 of 49 rows reused\n");
    fs::remove_file(project.path(&image(&project, 2, 4))).unwrap();
    assert_eq!(run(&project), "pack ran, 1 unreadable image left out, 48 of 48 rows reused\n");
}

/// Something that happens to a data set between two runs.
#[derive(Debug, Clone)]
enum Edit {
    Add(u8),
    Change(u8),
    Remove,
    Rename,
    Double,
    Split(u8),
    Seed(u8),
}

fn edits() -> impl Strategy<Value = Vec<(Edit, usize, usize)>> {
    let edit = prop_oneof![
        any::<u8>().prop_map(Edit::Add),
        any::<u8>().prop_map(Edit::Change),
        Just(Edit::Remove),
        Just(Edit::Rename),
        Just(Edit::Double),
        (1..5u8).prop_map(Edit::Split),
        any::<u8>().prop_map(Edit::Seed),
    ];
    prop::collection::vec((edit, 0..5usize, 0..4usize), 1..5)
}

fn apply(project: &Project, edit: &Edit, class: usize, number: usize, step: usize) {
    let chosen = image(project, class, number);
    let new_name = format!("{chosen}-{step}.jpg");
    match edit {
        Edit::Add(tint) => write_new_image(project, &new_name, *tint),
        Edit::Change(tint) => write_new_image(project, &chosen, *tint),
        Edit::Remove => fs::remove_file(project.path(&chosen)).unwrap(),
        Edit::Rename => rename(project, &chosen, &new_name),
        Edit::Double => fs::write(project.path(&new_name), project.read(&chosen)).unwrap(),
        Edit::Split(val) => write_manifest(project, "val: 0.2", &format!("val: {val}")),
        Edit::Seed(seed) => write_manifest(project, "seed: 1", &format!("seed: {seed}")),
    }
}

fn write_manifest(project: &Project, old: &str, new: &str) {
    project.write("small.yaml", &PIPELINE.replace(old, new));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_between_runs_the_bytes_are_those_from_scratch(rounds in prop::collection::vec(edits(), 2..4)) {
        let project = packed();
        for (round, edits) in rounds.iter().enumerate() {
            for (step, (edit, class, number)) in edits.iter().enumerate() {
                apply(&project, edit, *class, *number, 10 * round + step);
            }
            run(&project);
        }
    }
}
