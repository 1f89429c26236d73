//! Features of earlier results are copied, and nobody can tell from the bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::OnceLock;

use crate::harness::{Project, sorted, timeless};
use crate::incremental::{copy_folder, image, rename, write_new_image};

/// Of 40 images: 32 and 8.
const PIPELINE: &str = "
name: small
seed: 1
stages:
  pack:
    kind: pack
    images: images
    size: 36
    split: { val: 0.2 }
  features:
    kind: extract-features
    train: pack.train
    val: pack.val
    model: { file: model.safetensors }
    batch: 8
";

const TRAINING: &str = "
name: training
seed: 1
stages:
  pack:
    kind: pack
    images: images
    size: 36
  train:
    kind: train
    train: pack.train
    model: mini-googlenet
    input: { size: 32, train: random-crop, eval: resize, scale: 0.0078125 }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 1
    batch: 16
";

/// A network that one epoch has made.
fn model() -> &'static [u8] {
    static MODEL: OnceLock<Vec<u8>> = OnceLock::new();
    MODEL.get_or_init(|| {
        let project = Project::with_images(4);
        assert_eq!(project.write("training.yaml", TRAINING).run(&["training.yaml"]), "pack ran\ntrain ran\n");
        project.read("output/training/train/model.safetensors")
    })
}

/// A project with 40 images that was run once.
fn extracted() -> Project {
    let project = Project::with_images(8);
    fs::write(project.path("model.safetensors"), model()).unwrap();
    project.write("small.yaml", PIPELINE);
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nfeatures ran\n");
    project
}

/// Runs, checks that the features are what a project without a past makes of the same images, and says what became of them.
fn run(project: &Project) -> String {
    let stages = project.run(&["small.yaml"]);
    let fresh = Project::new();
    copy_folder(&project.path("images"), &fresh.path("images"));
    for name in ["small.yaml", "model.safetensors"] {
        fs::write(fresh.path(name), project.read(name)).unwrap();
    }
    assert_eq!(fresh.run(&["small.yaml"]), "pack ran\nfeatures ran\n");
    for name in ["output/small/features/train.h5", "output/small/features/val.h5"] {
        assert!(project.read(name) == fresh.read(name), "{name} is not what it is from scratch");
    }
    stages.lines().last().unwrap().to_owned()
}

#[test]
fn only_new_images_go_through_the_network() {
    let project = extracted();
    let class = image(&project, 0, 0).rsplit_once('/').unwrap().0.to_owned();
    write_new_image(&project, &format!("{class}/a-new-one.jpg"), 1);
    write_new_image(&project, &format!("{class}/z-new-one.jpg"), 2);
    project.run(&["small.yaml", "--until", "pack"]);
    let plan = timeless(&project.packtrain(&["plan", "small.yaml"]).stdout);
    assert!(plan.contains("; 40 of 42 rows reused\n"), "{plan}");
    let json = project.packtrain(&["explain", "small.yaml", "features", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"], serde_json::json!({ "reused": 40, "made": 2 }));
    assert_eq!(run(&project), "features ran, 40 of 42 rows reused");
    assert_eq!(run(&project), "features reused");
    let explained = project.packtrain(&["explain", "small.yaml", "features"]).stdout;
    assert!(explained.contains("  rows     40 of 42 rows reused from earlier results\n"), "{explained}");
}

#[test]
fn renamed_moved_and_removed_images_and_another_split_need_no_network() {
    let project = extracted();
    rename(&project, &image(&project, 0, 0), &format!("{}-renamed.jpg", image(&project, 0, 0)));
    let other_class = image(&project, 4, 0).rsplit_once('/').unwrap().0.to_owned();
    rename(&project, &image(&project, 1, 1), &format!("{other_class}/moved.jpg"));
    fs::remove_file(project.path(&image(&project, 2, 3))).unwrap();
    assert_eq!(run(&project), "features ran, 39 of 39 rows reused");
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "features ran, 39 of 39 rows reused");
    project.edit("small.yaml", "val: 0.2", "val: 3");
    assert_eq!(run(&project), "features ran, 39 of 39 rows reused");
}

#[test]
fn a_changed_image_goes_through_the_network_again_until_it_is_as_before() {
    let project = extracted();
    let changed = image(&project, 1, 3);
    let old = project.read(&changed);
    write_new_image(&project, &changed, 3);
    assert_eq!(run(&project), "features ran, 39 of 40 rows reused");
    fs::write(project.path(&changed), old).unwrap();
    fs::remove_file(project.path(&image(&project, 0, 0))).unwrap();
    assert_eq!(run(&project), "features ran, 39 of 39 rows reused", "the first result still has it");
}

#[test]
fn what_decides_a_row_leaves_nothing_to_reuse() {
    let project = extracted();
    project.edit("small.yaml", "batch: 8", "batch: 7");
    assert_eq!(run(&project), "features ran");
    project.edit("small.yaml", "batch: 7", "batch: 7\n    view: center-crop");
    assert_eq!(run(&project), "features ran");
    // Of other images, the same network is another one.
    let other = Project::with_images(5);
    other.write("training.yaml", TRAINING).run(&["training.yaml"]);
    fs::write(project.path("model.safetensors"), other.read("output/training/train/model.safetensors")).unwrap();
    assert_eq!(run(&project), "features ran");
    fs::write(project.path("model.safetensors"), model()).unwrap();
    project.edit("small.yaml", "batch: 7\n    view: center-crop", "batch: 8").edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "features ran, 40 of 40 rows reused");
}

#[test]
fn no_row_is_taken_from_another_processor() {
    let project = extracted();
    // As if the first result had been made on another machine.
    for path in sorted(&project.path(".packtrain/actions")) {
        let record = fs::read_to_string(&path).unwrap();
        fs::write(&path, record.replace(" threads\"", " threads of an abacus\"")).unwrap();
    }
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "features ran");
    project.edit("small.yaml", "seed: 2", "seed: 3");
    assert_eq!(run(&project), "features ran, 40 of 40 rows reused", "the second result was made here");
}

#[test]
fn no_row_is_taken_from_a_damaged_file() {
    let project = extracted();
    let train = project.read("output/small/features/train.h5");
    let objects = sorted(&project.path(".packtrain/objects")).into_iter().flat_map(|folder| sorted(&folder));
    for object in objects.filter(|object| fs::read(object).unwrap() == train) {
        let mut damaged = train.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::set_permissions(&object, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&object, damaged).unwrap();
    }
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "features ran, 8 of 40 rows reused");
}

#[test]
fn features_that_are_forced_are_all_computed() {
    let project = extracted();
    assert_eq!(project.run(&["small.yaml", "--force", "features"]), "pack reused\nfeatures ran\n");
    project.edit("small.yaml", "seed: 1", "seed: 2");
    assert_eq!(run(&project), "features ran, 40 of 40 rows reused", "their rows are known as before");
}
