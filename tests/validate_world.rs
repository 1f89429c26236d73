//! The full text of what `packtrain validate` says of images, weights and machines that a manifest does not fit.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program as a user does")]
#![expect(clippy::too_many_lines, reason = "the text that a reader sees is quoted in full")]

use std::fs;
use std::path::Path;
use std::process::Command;

use insta::assert_snapshot;
use packtrain::artifact::{ImagesWriter, ModelFile, ModelHeader, ModelTensor, RowLabels};
use packtrain::manifest;
use packtrain::preflight::{self, Machine};
use packtrain::stage::{MemorySize, PretrainedNetwork};
use tempfile::TempDir;

const PACK: &str = "
name: pets
stages:
  pack:
    kind: pack
    images: images
    labels: { filename: '^(cat|dog)' }
    size: 64
    split: { val: 4, test: 4 }
";

const TRAIN: &str = "
  train:
    kind: train
    train: pack.train
    val: pack.val
    model: alexnet
    input: { size: 60 }
    optimizer: { sgd: { lr: 0.1 } }
    epochs: 1
    batch: 8
";

/// A folder with `images/cat.0.jpg` to `cat.11.jpg`, dogs alike, and what a test writes. The images are empty: none is opened.
struct Project(TempDir);

impl Project {
    fn new() -> Project {
        let project = Project(tempfile::tempdir().unwrap());
        fs::create_dir_all(project.path().join(".packtrain")).unwrap();
        (0..12).for_each(|number| project.images(&[&format!("cat.{number}.jpg"), &format!("dog.{number}.jpg")]));
        project
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn images(&self, names: &[&str]) {
        names.iter().for_each(|name| self.write(&format!("images/{name}"), ""));
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What a command says of a manifest, with its exit code.
    fn packtrain(&self, arguments: &[&str], manifest: &str) -> String {
        self.write("pets.yaml", manifest.trim_start());
        let mut command = Command::new(env!("CARGO_BIN_EXE_packtrain"));
        let output = command.args(arguments).current_dir(self.path()).env_remove("PACKTRAIN_STATE").output().unwrap();
        let [stderr, stdout] = [output.stderr, output.stdout].map(|text| String::from_utf8(text).unwrap());
        let text = format!("{stderr}{stdout}exit code {}", output.status.code().unwrap());
        text.replace(self.path().to_str().unwrap(), "[DIR]")
    }

    fn validate(&self, manifest: &str) -> String {
        self.packtrain(&["validate", "pets.yaml"], manifest)
    }

    /// What is found on a machine with so little of everything.
    fn validate_on(&self, machine: &Machine, manifest: &str) -> String {
        self.write("pets.yaml", manifest.trim_start());
        let family = manifest::load("pets.yaml".as_ref(), &[], self.path()).unwrap();
        let found = preflight::check(&family, machine).findings;
        family.locate(&found).to_string()
    }
}

fn edited(old: &str, new: &str) -> String {
    let manifest = format!("{PACK}{TRAIN}");
    assert!(manifest.contains(old), "{old}");
    manifest.replace(old, new)
}

#[test]
fn a_sound_manifest_says_what_it_will_read() {
    assert_snapshot!(Project::new().validate(&format!("{PACK}{TRAIN}")), @r#"
    pets: valid, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 0
    "#);
}

#[test]
fn a_pattern_that_matches_no_name_shows_some() {
    assert_snapshot!(Project::new().validate(&edited("^(cat|dog)", "^(hund|katze)")), @r#"
    error: none of the 24 file names match `^(hund|katze)`; they are like cat.0.jpg, cat.1.jpg, cat.10.jpg
     --> pets.yaml:6:25
      |
    6 |     labels: { filename: '^(hund|katze)' }
      |                         ^^^^^^^^^^^^^^^
    pets: 1 error, 2 stages
    train: alexnet for 60×60 pixels, 21,604,417 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_pattern_that_misses_some_names_shows_them() {
    let project = Project::new();
    project.images(&["emu.1.jpg", "yak.jpg"]);
    assert_snapshot!(project.validate(PACK), @r#"
    error: 2 of 26 file names do not match `^(cat|dog)`, such as emu.1.jpg, yak.jpg
     --> pets.yaml:6:25
      |
    6 |     labels: { filename: '^(cat|dog)' }
      |                         ^^^^^^^^^^^^
    pets: 1 error, 1 stages
    exit code 3
    "#);
}

#[test]
fn images_without_a_folder_have_no_parent_to_be_named_by() {
    assert_snapshot!(Project::new().validate(&edited("{ filename: '^(cat|dog)' }", "parent-dir")), @r#"
    error: cat.0.jpg: there is no folder 1 up within [DIR]/images, so its class is unknown
     --> pets.yaml:6:13
      |
    6 |     labels: parent-dir
      |             ^^^^^^^^^^
      |
      = help: put the images into a folder for each class, or say where the class is: `labels: { filename: "^(cat|dog)" }`
    pets: 1 error, 2 stages
    train: alexnet for 60×60 pixels, 21,604,417 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn images_that_are_all_of_one_class_are_a_warning() {
    assert_snapshot!(Project::new().validate(&PACK.replace("^(cat|dog)", "([a-z]+)$")), @r#"
    warning: all 24 images are of one class, `jpg`
     --> pets.yaml:6:5
      |
    6 |     labels: { filename: '([a-z]+)$' }
      |     ^^^^^^
    pets: valid, 1 stages
    pack: 24 images in 1 class (jpg 24): train 16, val 4, test 4; 288 KiB
    exit code 0
    "#);
}

#[test]
fn a_table_without_a_line_for_an_image_is_named() {
    let project = Project::new();
    project.write("labels.csv", "cat.0.jpg,cat\n");
    assert_snapshot!(project.validate(&PACK.replace("{ filename: '^(cat|dog)' }", "{ table: { file: labels.csv } }")), @r#"
    error: labels.csv: it has no line for the image cat.1.jpg
     --> pets.yaml:6:30
      |
    6 |     labels: { table: { file: labels.csv } }
      |                              ^^^^^^^^^^
    pets: 1 error, 1 stages
    exit code 3
    "#);
}

#[test]
fn a_class_without_a_readable_name_is_named() {
    let project = Project::new();
    project.write("words.txt", "cat\tHauskatze\n");
    assert_snapshot!(project.validate(&format!("{PACK}    class-names: {{ table: words.txt }}\n")), @r#"
    error: words.txt: it has no name for the class dog
     --> pets.yaml:9:27
      |
    9 |     class-names: { table: words.txt }
      |                           ^^^^^^^^^
    pets: 1 error, 1 stages
    exit code 3
    "#);
}

#[test]
fn a_split_larger_than_the_set_is_shown_with_its_classes() {
    assert_snapshot!(Project::new().validate(&edited("val: 4", "val: 2500")), @r#"
    error: the split asks for 4 images for test and 2500 for val, but there are only 24
     --> pets.yaml:8:5
      |
    8 |     split: { val: 2500, test: 4 }
      |     ^^^^^
      |
      = note: the images are cat 12, dog 12
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12); 288 KiB
    train: alexnet for 60×60 pixels, 21,604,417 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_split_that_leaves_nothing_to_train_on_is_an_error() {
    assert_snapshot!(Project::new().validate(&edited("val: 4, test: 4", "val: 12, test: 12")), @r#"
    error: no image is left for train: the split of 24 images is val: 12, test: 12
     --> pets.yaml:8:5
      |
    8 |     split: { val: 12, test: 12 }
      |     ^^^^^
      |
      = note: the images are cat 12, dog 12
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12); 288 KiB
    train: alexnet for 60×60 pixels, 21,604,417 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_class_too_small_for_the_split_is_a_warning() {
    let project = Project::new();
    project.images(&["emu.1.jpg"]);
    assert_snapshot!(project.validate(&PACK.replace("cat|dog", "cat|dog|emu")), @r#"
    warning: `val` has no image of emu, of 3 classes
     --> pets.yaml:8:5
      |
    8 |     split: { val: 4, test: 4 }
      |     ^^^^^
      |
      = note: the images are cat 12, dog 12, emu 1

    warning: `test` has no image of emu, of 3 classes
     --> pets.yaml:8:5
      |
    8 |     split: { val: 4, test: 4 }
      |     ^^^^^
      |
      = note: the images are cat 12, dog 12, emu 1
    pets: valid, 1 stages
    pack: 25 images in 3 classes (cat 12, dog 12, emu 1): train 17, val 4, test 4; 300 KiB
    exit code 0
    "#);
}

#[test]
fn a_folder_without_images_is_an_error() {
    let project = Project::new();
    fs::create_dir(project.path().join("empty")).unwrap();
    assert_snapshot!(project.validate(&edited("images: images", "images: empty")), @r#"
    error: there is no image in [DIR]/empty
     --> pets.yaml:5:13
      |
    5 |     images: empty
      |             ^^^^^
    pets: 1 error, 2 stages
    train: alexnet for 60×60 pixels, 21,604,417 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_batch_larger_than_the_training_set_is_a_warning() {
    assert_snapshot!(Project::new().validate(&edited("batch: 8", "batch: 64")), @r#"
    warning: the batch of 64 is larger than the training set of 16 images: an epoch is one step
      --> pets.yaml:18:12
       |
    18 |     batch: 64
       |            ^^
    pets: valid, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 64; about 840 MiB of memory on the CPU
    exit code 0
    "#);
}

#[test]
fn crops_larger_than_the_packed_images_are_refused_by_every_command() {
    let project = Project::new();
    let manifest = edited("size: 60", "size: 65");
    assert_snapshot!(project.validate(&manifest), @r#"
    error: `train` has images of 64×64 pixels, too small for crops of 65×65
      --> pets.yaml:15:20
       |
    15 |     input: { size: 65 }
       |                    ^^
       |
       = help: pack them larger, make the input smaller, or take whole images with `train: resize`
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 65×65 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
    assert_snapshot!(project.packtrain(&["run", "pets.yaml"], &manifest), @r#"
    error: `train` has images of 64×64 pixels, too small for crops of 65×65
      --> pets.yaml:15:20
       |
    15 |     input: { size: 65 }
       |                    ^^
       |
       = help: pack them larger, make the input smaller, or take whole images with `train: resize`
    exit code 3
    "#);
}

#[test]
fn a_mean_for_every_pixel_forbids_resizing() {
    let mean = "  mean: { kind: compute-mean, images: pack.train, per: pixel }\n";
    assert_snapshot!(Project::new().validate(&format!("{}    mean: mean\n{mean}", edited("val: pack.val\n", "val: pack.val\n"))), @r#"
    error: `val` has images of 64×64 pixels, which would be resized to 60×60, but a mean for every pixel does not allow that
      --> pets.yaml:19:11
       |
    19 |     mean: mean
       |           ^^^^
       |
       = help: use crops, pack the images at 60 pixels, or take the mean of every channel
    pets: 1 error, 3 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn crops_that_would_all_be_the_same_are_an_error() {
    let eval = "  eval: { kind: oversample-eval, images: pack.test, model: train }\n";
    assert_snapshot!(Project::new().validate(&format!("{}{eval}", edited("size: 60", "size: 64"))), @r#"
    error: the images are 64×64 pixels, as the network's input is, so that all crops are the same
      --> pets.yaml:19:42
       |
    19 |   eval: { kind: oversample-eval, images: pack.test, model: train }
       |                                          ^^^^^^^^^
       |
       = help: pack them larger, or make the network's input smaller
    pets: 1 error, 3 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 64×64 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_network_is_not_evaluated_on_features() {
    let eval = "  eval: { kind: evaluate, features: { file: features.h5 }, model: train }\n";
    let project = Project::new();
    project.write("features.h5", "");
    assert_snapshot!(project.validate(&format!("{PACK}{TRAIN}{eval}")), @r#"
    error: this model takes images: give `images` instead of `features`
      --> pets.yaml:19:67
       |
    19 |   eval: { kind: evaluate, features: { file: features.h5 }, model: train }
       |                                                                   ^^^^^
    pets: 1 error, 3 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn an_image_too_small_for_a_pretrained_network_is_an_error() {
    let project = Project::new();
    write_weights(&project.path().join("w.safetensors"), PretrainedNetwork::Squeezenet1_0);
    let manifest = format!("{PACK}{}    size: 16\n", features("squeezenet1_0"));
    assert_snapshot!(project.validate(&manifest), @r#"
    error: squeezenet1_0 needs images of 21 pixels or more, not 16
      --> pets.yaml:14:11
       |
    14 |     size: 16
       |           ^^
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    exit code 3
    "#);
}

#[test]
fn weights_of_another_network_are_recognised() {
    let project = Project::new();
    write_weights(&project.path().join("w.safetensors"), PretrainedNetwork::Squeezenet1_0);
    assert_snapshot!(project.validate(&format!("{PACK}{}", features("resnet50"))), @r#"
    error: these are not the weights of resnet50
      --> pets.yaml:13:22
       |
    13 |     weights: { file: w.safetensors }
       |                      ^^^^^^^^^^^^^
       |
       = note: 265 of its 265 tensors are missing: conv1.weight [64, 3, 7, 7], bn1.weight [64], bn1.bias [64], …
       = help: they have the tensors of squeezenet1_0: is `network: squeezenet1_0` meant?
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    exit code 3
    "#);
    assert_snapshot!(project.packtrain(&["plan", "pets.yaml"], &format!("{PACK}{}", features("resnet50"))), @r#"
    error: these are not the weights of resnet50
      --> pets.yaml:13:22
       |
    13 |     weights: { file: w.safetensors }
       |                      ^^^^^^^^^^^^^
       |
       = note: 265 of its 265 tensors are missing: conv1.weight [64, 3, 7, 7], bn1.weight [64], bn1.bias [64], …
       = help: they have the tensors of squeezenet1_0: is `network: squeezenet1_0` meant?
    exit code 3
    "#);
}

#[test]
fn weights_of_another_depth_say_which_shapes_differ() {
    let project = Project::new();
    write_weights(&project.path().join("w.safetensors"), PretrainedNetwork::Resnet18);
    assert_snapshot!(project.validate(&format!("{PACK}{}", features("resnet50"))), @r#"
    error: these are not the weights of resnet50
      --> pets.yaml:13:22
       |
    13 |     weights: { file: w.safetensors }
       |                      ^^^^^^^^^^^^^
       |
       = note: 165 of its 265 tensors are missing: layer1.0.conv3.weight [256, 64, 1, 1], layer1.0.bn3.weight [256], layer1.0.bn3.bias [256], …
       = note: 23 have another shape: layer1.0.conv1.weight is [64, 64, 3, 3], not [64, 64, 1, 1], layer1.1.conv1.weight is [64, 64, 3, 3], not [64, 256, 1, 1], layer2.0.conv1.weight is [128, 64, 3, 3], not [128, 256, 1, 1], …
       = help: they have the tensors of resnet18: is `network: resnet18` meant?
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    exit code 3
    "#);
}

#[test]
fn a_file_that_holds_no_weights_is_named() {
    let project = Project::new();
    project.write("w.safetensors", "PK\u{3}\u{4} this is a pickle in a zip");
    assert_snapshot!(project.validate(&format!("{PACK}{}", features("resnet50"))), @r#"
    error: [DIR]/w.safetensors: not a safetensors file: header too large
      --> pets.yaml:13:22
       |
    13 |     weights: { file: w.safetensors }
       |                      ^^^^^^^^^^^^^
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    exit code 3
    "#);
}

#[test]
fn a_model_of_packtrain_s_own_is_not_taken_for_weights() {
    let project = Project::new();
    let header = ModelHeader { architecture: serde_json::json!({ "alexnet": { "l2": 0.0 } }), class_names: Vec::new(), input: None };
    let tensor = ModelTensor { name: "conv1.weight".into(), shape: vec![1], values: vec![0.0] };
    ModelFile::write(&project.path().join("w.safetensors"), &header, &[tensor]).unwrap();
    assert_snapshot!(project.validate(&format!("{PACK}{}", features("resnet18"))), @r#"
    error: these are not the weights of resnet18
      --> pets.yaml:13:22
       |
    13 |     weights: { file: w.safetensors }
       |                      ^^^^^^^^^^^^^
       |
       = note: 99 of its 100 tensors are missing: bn1.weight [64], bn1.bias [64], bn1.running_mean [64], …
       = note: 1 has another shape: conv1.weight is [1], not [64, 3, 7, 7]
       = help: this is a model that packtrain trained, {"alexnet":{"l2":0.0}}: give it as `model`
    pets: 1 error, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    exit code 3
    "#);
}

#[test]
fn files_of_packed_images_are_opened() {
    let project = Project::new();
    let rows = RowLabels { labels: vec![0, 1], label_names: vec!["cat".into(), "dog".into()], paths: vec!["a".into(), "b".into()] };
    let mut writer = ImagesWriter::create(&project.path().join("train.h5"), (32, 32), &rows).unwrap();
    writer.append(&[0; 2 * 32 * 32 * 3]).unwrap();
    writer.finish().unwrap();
    project.write("val.h5", "not HDF5");
    let files = edited("pack.train", "{ file: train.h5 }").replace("pack.val", "{ file: val.h5 }");
    assert_snapshot!(project.validate(&files), @r#"
    error: [DIR]/val.h5: not an HDF5 file, or a damaged one
      --> pets.yaml:13:5
       |
    13 |     val: { file: val.h5 }
       |     ^^^

    error: `train` has images of 32×32 pixels, too small for crops of 60×60
      --> pets.yaml:15:20
       |
    15 |     input: { size: 60 }
       |                    ^^
       |
       = help: pack them larger, make the input smaller, or take whole images with `train: resize`

    warning: the batch of 8 is larger than the training set of 2 images: an epoch is one step
      --> pets.yaml:18:12
       |
    18 |     batch: 8
       |            ^
    pets: 2 errors, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn a_training_that_asks_for_too_little_memory_is_a_warning() {
    let manifest = format!("{PACK}{}    needs: {{ memory: 512 MiB }}\n", TRAIN.replace("batch: 8", "batch: 16"));
    assert_snapshot!(Project::new().validate(&manifest), @r#"
    warning: alexnet with a batch of 16 takes about 840 MiB of memory, not 512 MiB
      --> pets.yaml:19:22
       |
    19 |     needs: { memory: 512 MiB }
       |                      ^^^^^^^
       |
       = note: this is so on the CPU; on a GPU most of it is the card's memory
    pets: valid, 2 stages
    pack: 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train: alexnet for 60×60 pixels, 21,608,514 weights, batches of 16; about 840 MiB of memory on the CPU
    exit code 0
    "#);
}

#[test]
fn a_training_larger_than_the_machine_and_images_larger_than_the_disk_are_warnings() {
    let machine = Machine { memory: MemorySize(1 << 30), state: "/cache".into(), free: Some(1 << 20) };
    let manifest = edited("batch: 8", "batch: 1024").replace("size: 64", "size: 200");
    assert_snapshot!(Project::new().validate_on(&machine, &manifest), @r#"
    warning: the packed images take 2.7 MiB, but 1 MiB are free in /cache
     --> pets.yaml:7:11
      |
    7 |     size: 200
      |           ^^^
      |
      = note: what is there from an earlier run is not written again
      = help: make room, pack smaller images, or put the cache elsewhere with `--state-dir FOLDER`

    warning: the batch of 1024 is larger than the training set of 16 images: an epoch is one step
      --> pets.yaml:18:12
       |
    18 |     batch: 1024
       |            ^^^^

    warning: alexnet with a batch of 1024 takes about 1.4 GiB of memory; this machine has 1 GiB
      --> pets.yaml:18:12
       |
    18 |     batch: 1024
       |            ^^^^
       |
       = note: this is so on the CPU; on a GPU most of it is the card's memory
       = help: `batch: 512` takes about 950 MiB
    "#);
    let machine = Machine { memory: MemorySize(64 << 30), state: "/cache".into(), free: None };
    assert_snapshot!(Project::new().validate_on(&machine, &format!("{PACK}{TRAIN}")), @"");
}

#[test]
fn what_is_so_for_some_variants_names_one_of_them() {
    let matrix =
        edited("size: 60", "size: \"${size}\"").replace("name: pets", "name: pets\nparams: { size: 60 }\nmatrix: { size: [60, 64, 70] }");
    assert_snapshot!(Project::new().validate(&matrix), @r#"
    error: `train` has images of 64×64 pixels, too small for crops of 70×70
      --> pets.yaml:3:26
       |
     3 | matrix: { size: [60, 64, 70] }
       |                          ^^
    ...
    17 |     input: { size: "${size}" }
       |                    --------- used here
       |
       = note: this is so for the variant `size=70`
       = help: pack them larger, make the input smaller, or take whole images with `train: resize`
    pets: 1 error, 2 stages in 3 variants
      size=60
      size=64
      size=70
    pack (size=60): 24 images in 2 classes (cat 12, dog 12): train 16, val 4, test 4; 288 KiB
    train (size=60): alexnet for 60×60 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    train (size=64): alexnet for 64×64 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    train (size=70): alexnet for 70×70 pixels, 21,608,514 weights, batches of 8; about 840 MiB of memory on the CPU
    exit code 3
    "#);
}

#[test]
fn programs_get_it_as_json() {
    assert_snapshot!(Project::new().packtrain(&["validate", "--json", "pets.yaml"], &edited("size: 60", "size: 65")), @r#"
    {
      "valid": false,
      "problems": [
        {
          "severity": "error",
          "message": "`train` has images of 64×64 pixels, too small for crops of 65×65",
          "file": "pets.yaml",
          "line": 15,
          "column": 20,
          "notes": [],
          "help": [
            "pack them larger, make the input smaller, or take whole images with `train: resize`"
          ]
        }
      ],
      "pipeline": "pets",
      "variants": [],
      "packs": [
        {
          "stage": "pack",
          "images": 24,
          "classes": [
            {
              "name": "cat",
              "images": 12
            },
            {
              "name": "dog",
              "images": 12
            }
          ],
          "parts": [
            {
              "name": "train",
              "images": 16
            },
            {
              "name": "val",
              "images": 4
            },
            {
              "name": "test",
              "images": 4
            }
          ],
          "bytes": 294912
        }
      ],
      "trainings": [
        {
          "stage": "train",
          "network": "alexnet",
          "size": 65,
          "weights": 21608514,
          "batch": 8,
          "memory": 880803840
        }
      ]
    }
    exit code 3
    "#);
    assert_snapshot!(Project::new().packtrain(&["validate", "--json", "pets.yaml"], "stages: 3\n"), @r#"
    {
      "valid": false,
      "problems": [
        {
          "severity": "error",
          "message": "`stages` must be a map of keys, not the number 3",
          "file": "pets.yaml",
          "line": 1,
          "column": 9,
          "notes": [],
          "help": [
            "The stages by name, in any order: who uses whom says what runs first."
          ]
        }
      ]
    }
    exit code 3
    "#);
}

fn features(network: &str) -> String {
    format!(
        "  features:\n    kind: extract-features\n    images: pack.train\n    network: {network}\n    weights: {{ file: w.safetensors }}\n"
    )
}

/// A file with the tensors that torchvision gives the network.
fn write_weights(path: &Path, network: PretrainedNetwork) {
    let sketch = network.sketch(PretrainedNetwork::SIZE).unwrap();
    let header = sketch.tensors().iter().scan(0, |offset, tensor| {
        let start = *offset;
        *offset += 4 * tensor.numbers();
        Some((tensor.name.clone(), serde_json::json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, *offset] })))
    });
    let header: serde_json::Map<_, _> = header.collect();
    let bytes: u64 = sketch.tensors().iter().map(|tensor| 4 * tensor.numbers()).sum();
    let header = serde_json::to_vec(&header).unwrap();
    let file = fs::File::create(path).unwrap();
    // The numbers are a hole in the file: only names and shapes are looked at.
    file.set_len(8 + header.len() as u64 + bytes).unwrap();
    drop(file);
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, &[&(header.len() as u64).to_le_bytes()[..], &header].concat()).unwrap();
}
