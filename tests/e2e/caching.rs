//! What runs again and what does not, through the built program.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "the tests start the program and touch files, as a user does")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant, SystemTime};

use crate::harness::{Project, sorted, timeless};

const PIPELINE: &str = "
name: small
seed: 1
stages:
  pack:
    kind: pack
    images: images
    size: 32
    split: { val: 0.2, test: 0.2 }
  mean:
    kind: compute-mean
    images: pack.train
  check:
    kind: compute-mean
    images: pack.val
    per: pixel
";

fn project() -> Project {
    let project = Project::with_images(10);
    project.write("small.yaml", PIPELINE);
    project
}

const ALL_RAN: &str = "pack ran\nmean ran\ncheck ran\n";
const ALL_REUSED: &str = "pack reused\nmean reused\ncheck reused\n";

#[test]
fn a_second_run_reuses_everything_and_writes_only_its_record() {
    let project = project();
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);
    std::thread::sleep(Duration::from_millis(40));
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    let before = state(&project);
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    let after: Vec<_> = state(&project).into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(after.len(), 1, "{after:?}");
    assert!(after[0].0.contains("/runs/"), "{after:?}");
}

/// Every file of the state folder with its time and size.
fn state(project: &Project) -> Vec<(String, SystemTime, u64)> {
    let mut files = Vec::new();
    let mut folders = vec![project.path(".packtrain")];
    while let Some(folder) = folders.pop() {
        for path in sorted(&folder) {
            let metadata = fs::metadata(&path).unwrap();
            match metadata.is_dir() {
                true => folders.push(path),
                false => files.push((path.display().to_string(), metadata.modified().unwrap(), metadata.len())),
            }
        }
    }
    files
}

#[test]
fn touching_every_image_reruns_nothing() {
    let project = project();
    project.run(&["small.yaml"]);
    for class in sorted(&project.path("images")) {
        for image in sorted(&class) {
            fs::File::options().write(true).open(image).unwrap().set_modified(SystemTime::now()).unwrap();
        }
    }
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
}

#[test]
fn names_and_places_do_not_count() {
    let project = project();
    project.run(&["small.yaml"]);
    fs::rename(project.path("images"), project.path("elsewhere")).unwrap();
    fs::create_dir(project.path("manifests")).unwrap();
    fs::rename(project.path("small.yaml"), project.path("manifests/other.yaml")).unwrap();
    project
        .edit("manifests/other.yaml", "images: images", "images: ../elsewhere")
        .edit("manifests/other.yaml", "name: small", "name: renamed")
        .edit("manifests/other.yaml", "  mean:", "  average:")
        .edit("manifests/other.yaml", "    size: 32", "    size: 32\n    fit: crop # the default");
    assert_eq!(project.run(&["manifests/other.yaml"]), "pack reused\naverage reused\ncheck reused\n");
    assert!(project.path("output/renamed/average/mean.json").exists());
}

#[test]
fn editing_a_parameter_reruns_that_stage_and_what_its_bytes_reach() {
    let project = project();
    project.run(&["small.yaml"]);
    project.edit("small.yaml", "per: pixel", "per: channel");
    assert_eq!(project.run(&["small.yaml"]), "pack reused\nmean reused\ncheck ran\n");
    let plan = project.edit("small.yaml", "size: 32", "size: 24").packtrain(&["plan", "small.yaml"]);
    assert_eq!(
        timeless(&plan.stdout),
        "stage  kind  will  takes  why\n\
         pack  pack  run  not known  size 32 → 24 (small.yaml:8:11)\n\
         mean  compute-mean  be decided  0 or T  unknown until pack has run\n\
         check  compute-mean  be decided  0 or T  unknown until pack has run\n\
         \n\
         from T to T of work, besides the stages of which nothing is known\n"
    );
    assert_eq!(project.run(&["small.yaml"]), ALL_RAN);
    project.edit("small.yaml", "size: 24", "size: 32");
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED, "the earlier results are still there");
}

#[test]
fn a_reason_says_where_the_new_value_is_written() {
    let project = project();
    project.write("small.yaml", &PIPELINE.replace("size: 32", "size: ${size}").replace("seed: 1", "params: { size: 32 }"));
    project.write("other.yaml", "extends: small.yaml\n");
    project.run(&["other.yaml"]);
    let reason = |arguments: &[&str]| project.packtrain(&[&["plan", "other.yaml"], arguments].concat()).stdout;
    let given = reason(&["-p", "size=24"]);
    assert!(given.contains("size 32 → 24 (command line:1:9)"), "{given}");
    project.edit("small.yaml", "params: { size: 32 }", "params: { size: 28 }");
    let extended = reason(&[]);
    assert!(extended.contains("size 32 → 28 (small.yaml:3:17)"), "{extended}");
    project.edit("other.yaml", "yaml\n", "yaml\nstages:\n  pack:\n    size: 30\n");
    let own = reason(&[]);
    assert!(own.contains("size 32 → 30 (other.yaml:4:11)"), "{own}");
    let json: serde_json::Value = serde_json::from_str(&reason(&["--json"])).unwrap();
    let place = serde_json::json!({ "file": "other.yaml", "line": 4, "column": 11 });
    assert_eq!(json[0]["changes"][0]["place"], place);
}

#[test]
fn an_image_that_is_copied_is_foretold_to_take_less_than_a_new_one() {
    let project = project();
    project.run(&["small.yaml"]);
    let json = |arguments: &[&str]| -> serde_json::Value { serde_json::from_str(&project.packtrain(arguments).stdout).unwrap() };
    let earlier = json(&["plan", "small.yaml", "--json"])[0]["seconds"].as_f64().unwrap();
    for class in sorted(&project.path("images")) {
        for image in sorted(&class).into_iter().take(5) {
            fs::write(image.with_extension("new.jpg"), [fs::read(&image).unwrap(), vec![0]].concat()).unwrap();
        }
    }
    let foretold = json(&["plan", "small.yaml", "--json"])[0]["estimated_seconds"].as_f64().unwrap();
    // 25 new images, and 50 that spare 0.7 of their time.
    assert!((foretold / earlier - 0.8).abs() < 1e-9, "{earlier} {foretold}");
}

#[test]
fn another_seed_changes_the_split_but_not_what_draws_no_random_numbers() {
    let project = project();
    project.write("small.yaml", &PIPELINE.replace("    split: { val: 0.2, test: 0.2 }\n", "").replace("pack.val", "pack.train"));
    project.run(&["small.yaml"]);
    project.edit("small.yaml", "    per: pixel", "    per: pixel\n    seed: 7");
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    project.edit("small.yaml", "seed: 1\n", "seed: 2\n");
    assert!(project.run(&["small.yaml"]).starts_with("pack ran, "));
}

#[test]
fn adding_changing_and_removing_images_is_explained_by_name() {
    let project = project();
    project.run(&["small.yaml"]);
    let class = sorted(&project.path("images")).remove(0);
    let images = sorted(&class);
    fs::copy(&images[0], class.join("added.jpg")).unwrap();
    fs::copy(&images[0], &images[1]).unwrap();
    fs::remove_file(&images[2]).unwrap();
    let name = |path: &std::path::Path| path.strip_prefix(project.path("images")).unwrap().display().to_string();
    let explained = project.packtrain(&["explain", "small.yaml", "pack"]);
    let expected = format!(
        "pack (pack) will run, because\n  - input `images`: 1 image added, 1 image removed, 1 image changed\n      + {}\n      - {}\n      ~ {}\n\
         \x20 50 of 50 rows reused from earlier results\n\
         \x20 it takes about T, going by what was run before\n",
        name(&class.join("added.jpg")),
        name(&images[2]),
        name(&images[1]),
    );
    assert_eq!(timeless(&explained.stdout), expected);
    assert!(project.run(&["small.yaml"]).starts_with("pack ran, "));
}

#[test]
fn deleted_outputs_are_restored_and_damaged_ones_are_made_again() {
    let project = project();
    project.run(&["small.yaml"]);
    let clean = project.read("output/small/pack/train.h5");
    fs::remove_dir_all(project.path("output")).unwrap();
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    assert_eq!(project.read("output/small/pack/train.h5"), clean);

    let mut damaged = clean.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let path = project.path("output/small/pack/train.h5");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, damaged).unwrap();
    let run = project.run(&["small.yaml"]);
    assert!(run == "pack ran, 20 of 50 rows reused\nmean reused\ncheck reused\n" || run == ALL_REUSED, "{run}");
    assert_eq!(project.read("output/small/pack/train.h5"), clean);
}

#[test]
fn a_damaged_object_is_made_again_with_a_reason() {
    let project = project();
    project.run(&["small.yaml"]);
    let clean = project.read("output/small/mean/mean.json");
    for object in state(&project).into_iter().filter(|(path, ..)| path.contains("/objects/")) {
        if fs::read(&object.0).unwrap() == clean {
            fs::set_permissions(&object.0, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&object.0, "{}").unwrap();
        }
    }
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.stages(), "pack reused\nmean ran\ncheck reused\n");
    assert!(output.stderr.contains("mean  running: its earlier output `mean` is gone or damaged"), "{}", output.stderr);
    assert_eq!(project.read("output/small/mean/mean.json"), clean);
}

#[test]
fn a_coordinator_killed_at_any_moment_leaves_a_cache_from_which_the_next_run_finishes() {
    let clean = project();
    let started = Instant::now();
    clean.run(&["small.yaml"]);
    let whole = started.elapsed();
    for step in 0..8 {
        let project = project();
        let mut child = project.start(&["run", "small.yaml"]);
        std::thread::sleep(whole * step / 8);
        child.kill().unwrap();
        child.wait().unwrap();
        project.run(&["small.yaml"]);
        for file in ["pack/train.h5", "pack/val.h5", "pack/test.h5", "mean/mean.json", "check/mean.json"] {
            let file = format!("output/small/{file}");
            assert_eq!(project.read(&file), clean.read(&file), "{file} after a kill in step {step}");
        }
        let work = sorted(&project.path(".packtrain/work"));
        assert!(work.is_empty(), "{work:?}");
    }
}

#[test]
fn two_runs_at_once_share_the_work() {
    let project = project();
    let mut first = project.start(&["run", "small.yaml"]);
    let mut second = project.start(&["run", "small.yaml"]);
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(project.run(&["small.yaml"]), ALL_REUSED);
    let records = sorted(&project.path(".packtrain/actions"));
    assert_eq!(records.len(), 3, "{records:?}");
}

#[test]
fn a_failed_stage_stops_what_needs_it_and_is_tried_again() {
    let project = project();
    let class = sorted(&project.path("images")).remove(0);
    fs::write(class.join("broken.jpg"), "no image").unwrap();
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.code, 1);
    assert_eq!(output.stages(), "pack failed\nmean not run\ncheck not run\n");
    assert!(output.stderr.contains("broken.jpg"), "{}", output.stderr);
    project.edit("small.yaml", "    size: 32", "    size: 32\n    on-error: skip");
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.code, 0);
    assert_eq!(output.stages(), "pack ran, 1 unreadable image left out\nmean ran\ncheck ran\n");
}

#[test]
fn commands_exit_with_their_documented_codes() {
    let project = project();
    let code = |arguments: &[&str]| project.packtrain(arguments).code;
    assert_eq!(code(&["validate", "small.yaml"]), 0);
    assert_eq!(code(&["no-such-command"]), 2);
    assert_eq!(code(&["explain", "small.yaml", "nothing"]), 2);
    assert_eq!(code(&["validate", "missing.yaml"]), 3);
    assert_eq!(code(&["run", "small.yaml", "--state-dir", "small.yaml"]), 4);
}
