//! `packtrain new`: what it finds in images, and that what it writes is right for them.

use std::fs;
use std::path::Path;

use packtrain::artifact::Picture;

use crate::harness::{Output, Project, sorted};

/// Writes `images.yaml` for what lies at `path`.
fn new(project: &Project, path: &str, arguments: &[&str]) -> Output {
    let output = project.packtrain(&[&["new", path, "--yes", "-o", "images.yaml"], arguments].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    output
}

fn manifest(project: &Project) -> String {
    String::from_utf8(project.read("images.yaml")).unwrap()
}

/// Empty project with the committed archives in it.
fn archives() -> Project {
    let project = Project::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), project.path(entry.file_name().to_str().unwrap())).unwrap();
    }
    project
}

#[test]
#[expect(clippy::too_many_lines, reason = "the whole manifest is asserted")]
fn a_folder_per_class_becomes_a_manifest_that_runs() {
    let project = Project::with_images(10);
    fs::create_dir(project.path("schemas")).unwrap();
    fs::write(project.path("schemas/pipeline.schema.json"), "{}").unwrap();
    let output = new(&project, "images", &[]);
    assert_eq!(output.stdout, "wrote images.yaml\n");
    insta::assert_snapshot!(output.stderr, @"
    images:
      50 images, one folder per class
      5 classes of 10 images each
      from 48×147 to 142×155 pixels, the shorter side 82 in the median
      very long or very wide: 2
        ring/005.jpg: 52×159
        triangle/004.jpg: 48×147
    `packtrain plan images.yaml` says what it would do, `packtrain run images.yaml` does it
    ");
    insta::assert_snapshot!(manifest(&project), @r#"
    # yaml-language-server: $schema=schemas/pipeline.schema.json
    # Proposed by `packtrain new` for images:
    #   50 images, one folder per class
    #   5 classes of 10 images each
    #   from 48×147 to 142×155 pixels, the shorter side 82 in the median
    # Change what you know better; `packtrain plan` says what that costs.
    name: "images"
    # Decides what is held out and every other random choice.
    seed: 42
    # What differs from run to run: `packtrain run MANIFEST -p NAME=VALUE`.
    params:
      images: "images"
      # About 240 steps over 35 images.
      epochs: 60
      # 8 images a step; more want a higher rate and more memory.
      batch: 8
      # Adam's usual rate. If the loss jumps, try a third of it.
      lr: 1.0e-3
    stages:
      pack:
        kind: pack
        images: ${images}
        # One folder per class.
        labels: parent-dir
        # `val` is to watch the training by, `test` to be looked at in the end alone: 15 % of the 50
        # images. Every class gives the same share.
        split: { val: 0.15, test: 0.15 }
        # The shorter sides are 82 pixels in the median, which suits deeper-googlenet. It gets 64 pixels
        # a side.
        size: 64
      mean:
        # Subtracted from every image, so that the values lie around zero.
        kind: compute-mean
        images: pack.train
      train:
        kind: train
        train: pack.train
        val: pack.val
        mean: mean
        # A network for images of about 64 pixels.
        model: deeper-googlenet
        input: { size: 64, train: resize, eval: resize }
        # Each image is seen a little differently every time. Take `horizontal-flip` out if left and
        # right matter.
        augment: { rotation: 15, zoom: 0.15, shift: 0.1, horizontal-flip: true }
        optimizer: { adam: { lr: "${lr}" } }
        # The rate falls to zero along half a cosine; with another number of epochs every rate changes
        # and the training starts anew.
        schedule: cosine
        epochs: ${epochs}
        batch: ${batch}
        # The model is the one of the epoch with the least loss on `val`.
        keep: best
      eval:
        kind: evaluate
        images: pack.test
        model: train
    "#);
    assert_eq!(project.run(&["images.yaml", "--until", "mean"]), "pack ran\nmean ran\n");
    #[cfg(feature = "torch")]
    assert_eq!(project.run(&["images.yaml", "-p", "epochs=1", "--device", "cpu"]), "pack reused\nmean reused\ntrain ran\neval ran\n");
}

#[test]
fn classes_in_file_names_become_a_regular_expression() {
    let project = Project::with_images(4);
    fs::create_dir(project.path("flat")).unwrap();
    for (number, class) in ["circle", "square"].into_iter().enumerate() {
        for index in 0..20 {
            let image = &sorted(&project.path("images").join(class))[index % 4];
            let name = format!("flat/{class}.{}.jpg", 100 * number + index);
            fs::copy(image, project.path(&name)).unwrap();
        }
    }
    let output = new(&project, "flat", &[]);
    assert!(output.stderr.contains("the same bytes as another one: 32\n"), "{}", output.stderr);
    assert!(manifest(&project).contains(r#"labels: { filename: "^(circle|square)\\.\\d" }"#), "{}", manifest(&project));
    assert_eq!(project.run(&["images.yaml", "--until", "mean"]), "pack ran\nmean ran\n");
}

#[test]
fn photographs_out_of_a_camera_are_decoded_at_a_smaller_scale() {
    let project = Project::new();
    for (class, light) in [("day", 200), ("night", 30)] {
        fs::create_dir_all(project.path(&format!("photos/{class}"))).unwrap();
        for number in 0..4 {
            let (width, height) = (2400 + 8 * number, 2080);
            let photograph = Picture { width, height, pixels: vec![light; width * height * 3] };
            fs::write(project.path(&format!("photos/{class}/{number}.jpg")), photograph.encode_jpeg(90).unwrap()).unwrap();
        }
    }
    new(&project, "photos", &[]);
    assert!(manifest(&project).contains("size: 256\n"), "{}", manifest(&project));
    assert!(manifest(&project).contains("several times as fast.\n    decode: scaled\n"), "{}", manifest(&project));
    assert_eq!(project.run(&["images.yaml", "--until", "pack"]), "pack ran\n");
}

#[test]
fn archives_are_looked_into_and_stay_packed() {
    let project = archives();
    for archive in ["photos.zip", "photos.tar", "photos.tar.gz"] {
        let output = new(&project, archive, &["--force"]);
        assert!(
            output.stderr.contains("4 images, one folder per class\n  2 classes of 2 images each\n  8×6 pixels\n"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("no images, passed over: 1\n    winter/notes.txt\n"), "{}", output.stderr);
        assert!(manifest(&project).contains("too few images"), "{}", manifest(&project));
        project.run(&["images.yaml"]);
    }
}

#[test]
fn cifar_is_known_in_both_of_its_forms() {
    let project = archives();
    for archive in ["cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"] {
        new(&project, archive, &["--force"]);
        let text = manifest(&project);
        assert!(text.contains("#   4 images for train in train/, one folder per class\n"), "{text}");
        assert!(text.contains(r#"images: "${images}/test""#) && text.contains("size: 32"), "{text}");
        project.run(&["images.yaml"]);
    }
}

#[test]
fn tiny_imagenet_s_tables_are_used() {
    let project = Project::with_images(20);
    let mut annotations = String::new();
    for (number, class) in sorted(&project.path("images")).iter().enumerate() {
        let images = project.path(&format!("tiny/train/n0{number}/images"));
        fs::create_dir_all(images.parent().unwrap()).unwrap();
        fs::create_dir_all(project.path("tiny/val/images")).unwrap();
        fs::rename(class, &images).unwrap();
        fs::rename(&sorted(&images)[0], project.path(&format!("tiny/val/images/val_{number}.jpg"))).unwrap();
        annotations.push_str(&format!("val_{number}.jpg\tn0{number}\t0\t0\t62\t62\n"));
    }
    project.write("tiny/val/val_annotations.txt", &annotations);
    project.write("tiny/words.txt", "n00\tfirst\nn01\tsecond\nn02\tthird\nn03\tfirst\nn04\tfifth\n");
    let output = new(&project, "tiny", &[]);
    assert!(!output.stderr.contains("passed over"), "{}", output.stderr);
    assert!(manifest(&project).contains("labels: { ancestor: 2 }"), "{}", manifest(&project));
    assert_eq!(project.run(&["images.yaml", "--until", "mean"]), "pack ran\nmean ran\n");
    let train = packtrain::artifact::ImagesFile::open(&project.path("output/tiny/pack/train.h5")).unwrap();
    assert_eq!(train.rows().label_names, ["fifth", "first (n00)", "first (n03)", "second", "third"]);
}

#[test]
fn damaged_files_are_named_and_left_out_of_the_run() {
    let project = Project::with_images(10);
    project.write("images/circle/broken.jpg", "no JPEG").write("images/notes.txt", "no image");
    let output = new(&project, "images", &[]);
    assert!(output.stderr.contains("unreadable: 1\n    circle/broken.jpg: not an image"), "{}", output.stderr);
    assert!(output.stderr.contains("no images, passed over: 1\n    notes.txt\n"), "{}", output.stderr);
    assert!(manifest(&project).contains("on-error: skip"), "{}", manifest(&project));
    project.run(&["images.yaml", "--until", "mean"]);
}

#[test]
fn weights_tell_their_network_and_make_features_the_goal() {
    let project = Project::with_images(10);
    let tensor = |name: &str| packtrain::artifact::ModelTensor { name: name.to_owned(), shape: vec![1], values: vec![0.0] };
    let header = packtrain::artifact::ModelHeader { architecture: serde_json::Value::Null, class_names: Vec::new(), input: None };
    let write = |name: &str, tensors: &[&str]| {
        let tensors: Vec<_> = tensors.iter().map(|name| tensor(name)).collect();
        packtrain::artifact::ModelFile::write(&project.path(name), &header, &tensors).unwrap();
    };
    write("resnet.safetensors", &["layer3.1.conv2.weight", "layer3.5.conv2.weight", "layer3.5.conv3.weight"]);
    new(&project, "images", &["--weights", "resnet.safetensors"]);
    assert!(manifest(&project).contains("network: resnet50\n"), "{}", manifest(&project));
    // Only the weights, which are none of a whole network, are wrong.
    let validated = project.packtrain(&["validate", "images.yaml"]);
    assert!(validated.stdout.starts_with("images: 1 error, 4 stages\n"), "{}", validated.stdout);
    assert!(validated.stderr.contains("these are not the weights of resnet50"), "{}", validated.stderr);

    write("other.safetensors", &["conv1.weight"]);
    let refused = project.packtrain(&["new", "images", "--yes", "--weights", "other.safetensors", "-o", "2.yaml"]);
    let expected = "error: other.safetensors does not have the tensors of resnet101, resnet50, resnet34, resnet18, squeezenet1_0\n";
    assert!(refused.code == 2 && refused.stderr.ends_with(expected), "{}", refused.stderr);
    let refused = project.packtrain(&["new", "images", "--yes", "--goal", "features", "-o", "2.yaml"]);
    let expected = "error: features need pretrained weights; name them with `--weights FILE`\n";
    assert!(refused.code == 2 && refused.stderr.ends_with(expected), "{}", refused.stderr);
}

#[test]
fn nothing_is_asked_without_a_terminal_and_nothing_is_overwritten() {
    let project = Project::with_images(4);
    let refused = project.packtrain(&["new", "images"]);
    assert_eq!((refused.code, refused.stderr.as_str()), (2, "error: there is no terminal to ask on; `--yes` takes every default\n"));
    project.write("images.yaml", "mine");
    let refused = project.packtrain(&["new", "images", "--yes"]);
    let expected = "error: images.yaml is there already; `--force` overwrites it, `--output FILE` writes another one\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (2, expected));
    assert_eq!(manifest(&project), "mine");
    new(&project, "images", &["--force"]);
    assert!(manifest(&project).contains("kind: pack"));
}

#[test]
fn a_place_without_classes_is_refused_with_the_reason() {
    let project = Project::new();
    project.write("empty/notes.txt", "");
    project.write("camera/IMG_1.jpg", "").write("camera/IMG_2.jpg", "");
    let refused = |path: &str| project.packtrain(&["new", path, "--yes"]).stderr;
    assert_eq!(refused("nowhere"), "error: there is nothing at nowhere that can hold images\n");
    assert_eq!(refused("empty"), "error: there is no image in empty\n");
    project.write("camera/sub/IMG_3.jpg", "");
    let expected = "error: the 3 images in camera have no classes that can be told from folders or from file names, such as IMG_1.jpg\n";
    assert_eq!(refused("camera"), expected);
}
