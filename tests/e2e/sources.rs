//! Where images come from: archives, CIFAR-10's batches, files of other programs. `tests/archives/make.py` makes them.

use std::fs;
use std::path::Path;

use packtrain::artifact::ImagesFile;

use crate::harness::Project;

fn project(manifest: &str) -> Project {
    let project = Project::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), project.path(entry.file_name().to_str().unwrap())).unwrap();
    }
    project.write("m.yaml", manifest);
    project
}

const PHOTOS: &str = "
name: photos
params: { images: photos.zip }
stages:
  pack: { kind: pack, images: '${images}', size: 8 }
  mean: { kind: compute-mean, images: pack.train }
";

#[test]
fn the_same_images_in_another_archive_are_the_same() {
    let project = project(PHOTOS);
    assert_eq!(project.run(&["m.yaml"]), "pack ran\nmean ran\n");
    let images = ImagesFile::open(&project.path("output/photos/pack/train.h5")).unwrap();
    assert_eq!(images.rows().label_names, ["apple", "pear"]);
    assert_eq!(project.run(&["m.yaml", "-p", "images=photos.tar.gz"]), "pack reused\nmean reused\n");
    assert_eq!(project.run(&["m.yaml", "-p", "images=photos.tar"]), "pack reused\nmean reused\n");
}

#[test]
fn a_change_of_an_archive_is_told_by_its_images() {
    let project = project(PHOTOS);
    project.run(&["m.yaml", "-p", "images=photos.zip/summer"]);
    let plan = project.packtrain(&["plan", "m.yaml", "-p", "images=photos.zip"]).stdout;
    assert!(plan.contains("4 images added, 3 images removed"), "{plan}");
    fs::write(project.path("photos.zip"), "PK no more").unwrap();
    let broken = project.packtrain(&["run", "m.yaml"]);
    assert_eq!(broken.code, 1, "{}", broken.stderr);
    assert!(broken.stderr.contains("photos.zip: cannot be read as a zip archive"), "{}", broken.stderr);
}

#[test]
fn cifar_gives_the_same_from_both_of_its_forms() {
    let project = project(
        "
name: cifar
params: { images: cifar-10-python.tar.gz }
stages:
  pack:
    kind: pack
    sources:
      train: { images: '${images}/train' }
      test: { images: '${images}/test' }
    class-names: { table: names.txt }
    size: 32
",
    );
    project.write("names.txt", "airplane\tplane\nautomobile\tcar\nbird\tbird, Aves\nship\tship\n");
    assert_eq!(project.run(&["m.yaml"]), "pack ran\n");
    let train = ImagesFile::open(&project.path("output/cifar/pack/train.h5")).unwrap();
    assert_eq!(train.rows().label_names, ["bird, Aves", "car", "plane"]);
    assert_eq!((train.len(), train.size()), (4, (32, 32)));
    let first = train.rows().paths.iter().position(|path| path == "bird/data_batch_1-00000").unwrap();
    assert_eq!(train.rows().labels[first], 0);
    // Row 0: red 7·x, green 0, blue 50·2.
    assert_eq!(train.row(first)[..9], [0, 0, 100, 7, 0, 100, 14, 0, 100]);
    let test = ImagesFile::open(&project.path("output/cifar/pack/test.h5")).unwrap();
    assert_eq!((test.len(), test.rows().label_names.len()), (2, 3));
    assert_eq!(project.run(&["m.yaml", "-p", "images=cifar-10-binary.tar.gz"]), "pack reused\n");
}

#[cfg(feature = "torch")]
#[test]
fn files_of_the_book_are_inputs_of_every_kind_of_stage() {
    let project = project(
        "
name: book
stages:
  mean: { kind: compute-mean, images: { file: book.hdf5 } }
  train:
    kind: train
    train: { file: book.hdf5 }
    val: { file: book.hdf5 }
    mean: mean
    model: mini-googlenet
    input: { size: 8, train: resize }
    augment: { rotation: 20, zoom: 0.15, shift: 0.2, shear: 0.15, horizontal-flip: true }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 1
    batch: 4
  eval: { kind: evaluate, images: { file: book.hdf5 }, model: train }
",
    );
    assert_eq!(project.run(&["m.yaml"]), "mean ran\ntrain ran\neval ran\n");
    let json = |name: &str| serde_json::from_slice::<serde_json::Value>(&project.read(&format!("output/book/{name}"))).unwrap();
    // NumPy's means of the channels, which `make.py` prints.
    let mean = json("mean/mean.json");
    for (channel, expected) in MEANS {
        assert!((mean[channel].as_f64().unwrap() - expected).abs() < 1e-9, "{mean}");
    }
    assert!(json("eval/evaluation.json")["rank1"].is_f64());
    assert_eq!(project.run(&["m.yaml"]), "mean reused\ntrain reused\neval reused\n");
}

#[cfg(feature = "torch")]
const MEANS: [(&str, f64); 3] = [("R", 111.984375), ("G", 111.5625), ("B", 111.53125)];
