//! `pack` and `compute-mean` on folders of real files, through the job that the coordinator gives.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use packtrain::artifact::{Decode, Fit, ImagesFile, Mean, PackRule, Picture};
use packtrain::event::{StageEvent, StageOutput};
use packtrain::key::{Digest, SourceFile};
use packtrain::stage::{
    Device, ImageList, InputSource, JobInput, Reference, StageContext, StageError, StageJob, StageSpec, Unlabelled, list_images, run,
};
use serde_json::{Value, json};

/// A folder with images and a place for outputs.
struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Workplace {
        let workplace = Workplace { folder: tempfile::tempdir().unwrap() };
        for (class, colour) in [("cat", 40), ("dog", 200)] {
            for number in 0..10 {
                workplace.write(&format!("set/{class}/{number}.jpg"), &picture(30 + number, 20, colour));
            }
        }
        workplace
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Runs a stage; its outputs lie in the folder `out`.
    fn run(&self, spec: Value, out: &str, events: &mut Vec<StageEvent>) -> Result<StageOutput, StageError> {
        let spec: StageSpec = serde_json::from_value(spec).unwrap();
        assert_eq!(spec.check(), []);
        let inputs = spec.inputs().into_iter().map(|input| (input.name.to_string(), given(input.source))).collect::<BTreeMap<_, _>>();
        let out = self.path(out);
        fs::create_dir_all(&out).unwrap();
        let job = StageJob {
            stage: "stage".parse().unwrap(),
            spec,
            inputs,
            out,
            seed: 7,
            device: Device::Auto,
            threads: None,
            resume: None,
            packed_rows: Default::default(),
            earlier: Vec::new(),
        };
        let mut emit = |event| events.push(event);
        run(&job, &mut StageContext { emit: &mut emit, cancelled: &AtomicBool::new(false), deadline: None })
    }

    fn images(&self, path: &str) -> ImagesFile {
        ImagesFile::open(&self.path(path)).unwrap()
    }
}

fn given(source: InputSource<'_>) -> JobInput {
    let source_file = |path: String| SourceFile { path, digest: Digest::of_bytes(b"") };
    match source {
        InputSource::ImageFolder(root) => {
            JobInput::Folder { root: root.to_owned(), files: list_images(root).unwrap().into_iter().map(source_file).collect() }
        }
        InputSource::File(path) => JobInput::File(path.to_owned()),
        InputSource::Reference(Reference::File(path)) => JobInput::File(path.clone()),
        InputSource::Reference(Reference::Output { .. }) | InputSource::Folder(_) => panic!("`pack` has no such input"),
    }
}

fn picture(width: usize, height: usize, value: u8) -> Vec<u8> {
    Picture { width, height, pixels: vec![value; width * height * 3] }.encode_jpeg(95).unwrap()
}

/// Slow changes of light and colour, as a JPEG.
fn photograph(seed: usize) -> Vec<u8> {
    let (width, height) = (320, 240 + 8 * seed);
    let wave = |x: usize, y: usize, c: usize| ((x + 40 * seed) as f32 / (30 + 9 * c) as f32 + y as f32 / 50.0).sin();
    let value = |at: usize| (128.0 + 100.0 * wave(at / 3 % width, at / 3 / width, at % 3)) as u8;
    Picture { width, height, pixels: (0..width * height * 3).map(value).collect() }.encode_jpeg(90).unwrap()
}

fn warnings(events: &[StageEvent]) -> Vec<&str> {
    let mut warnings = Vec::new();
    for event in events {
        if let StageEvent::Warning { message } = event {
            warnings.push(message.as_str());
        }
    }
    warnings
}

fn per_class(images: &ImagesFile) -> Vec<usize> {
    let rows = images.rows();
    (0..rows.label_names.len()).map(|class| rows.labels.iter().filter(|label| **label == class as i64).count()).collect()
}

#[test]
fn a_folder_becomes_files_with_every_image_once() {
    let workplace = Workplace::new();
    let mut events = Vec::new();
    let spec = json!({ "kind": "pack", "images": workplace.path("set"), "size": 16, "split": { "val": 4, "test": 0.3 } });
    workplace.run(spec, "out", &mut events).unwrap();
    let mut paths = Vec::new();
    for (file, classes) in [("out/train.h5", [5, 5]), ("out/val.h5", [2, 2]), ("out/test.h5", [3, 3])] {
        let images = workplace.images(file);
        assert_eq!((images.size(), per_class(&images)), ((16, 16), classes.to_vec()));
        assert_eq!(images.rows().label_names, ["cat", "dog"]);
        for (index, (label, path)) in images.rows().labels.iter().zip(&images.rows().paths).enumerate() {
            let (class, value) = [("cat/", 40), ("dog/", 200)][*label as usize];
            assert!(path.starts_with(class) && images.row(index).iter().all(|pixel| *pixel == value), "{path}");
        }
        paths.extend(images.rows().paths.iter().cloned());
    }
    paths.sort_unstable();
    assert_eq!(paths, list_images(&workplace.path("set")).unwrap());
    let last = StageEvent::Progress { activity: "packing test".into(), done: 6, total: 6, unit: packtrain::event::Unit::Images };
    assert_eq!(events.last(), Some(&last));
}

#[test]
fn packing_again_gives_the_same_bytes() {
    let workplace = Workplace::new();
    let spec = json!({ "kind": "pack", "images": workplace.path("set"), "size": 16, "split": { "test": 4 } });
    for out in ["first", "second"] {
        workplace.run(spec.clone(), out, &mut Vec::new()).unwrap();
    }
    for file in ["train.h5", "test.h5"] {
        assert_eq!(fs::read(workplace.path("first").join(file)).unwrap(), fs::read(workplace.path("second").join(file)).unwrap());
    }
}

#[test]
fn photographs_decoded_at_a_smaller_scale_are_nearly_the_same_and_their_file_says_so() {
    let workplace = Workplace { folder: tempfile::tempdir().unwrap() };
    for seed in 0..6 {
        workplace.write(&format!("set/{}/{seed}.jpg", ["a", "b"][seed % 2]), &photograph(seed));
    }
    let spec = |decode: &str| json!({ "kind": "pack", "images": workplace.path("set"), "size": 28, "decode": decode });
    workplace.run(spec("full"), "full", &mut Vec::new()).unwrap();
    workplace.run(spec("scaled"), "scaled", &mut Vec::new()).unwrap();
    let (full, scaled) = (workplace.images("full/train.h5"), workplace.images("scaled/train.h5"));
    assert_eq!(full.rule(), Some(PackRule { size: 28, fit: Fit::Crop, decode: Decode::Full }));
    let rule = PackRule { size: 28, fit: Fit::Crop, decode: Decode::Scaled };
    assert_eq!((scaled.rule(), scaled.rows()), (Some(rule), full.rows()));
    assert_ne!(scaled.pixels(), full.pixels(), "it decoded everything");
    let differences: Vec<u8> = full.pixels().iter().zip(scaled.pixels()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|difference| f64::from(*difference)).sum::<f64>() / differences.len() as f64;
    assert!(mean < 1.0, "{mean} on average");
    let whole: StageSpec = serde_json::from_value(spec("full")).unwrap();
    assert!(!serde_json::to_string(&whole).unwrap().contains("decode"), "keys are those from before there was a choice");

    // What is packed for a prediction follows the same rule.
    let first = workplace.path("set").join(&scaled.rows().paths[0]);
    let found = ImageList::find(&[first], workplace.folder.path());
    let out = workplace.path("asked.h5");
    let mut context = StageContext { emit: &mut |_| (), cancelled: &AtomicBool::new(false), deadline: None };
    assert_eq!(Unlabelled::pack(&found.images, rule, &out, &mut context).unwrap(), [None]);
    assert_eq!(workplace.images("asked.h5").row(0), scaled.row(0));
}

#[test]
fn sources_share_their_classes() {
    let workplace = Workplace::new();
    workplace.write("val/1.jpg", &picture(9, 9, 40));
    workplace.write("val/2.jpg", &picture(9, 9, 90));
    workplace.write("val.txt", b"2.jpg\tcow\t0\n1.jpg\tcat\t0\n");
    let sources = json!({
        "train": { "images": workplace.path("set"), "split": { "test": 0.1 } },
        "val": { "images": workplace.path("val"), "labels": { "table": { "file": workplace.path("val.txt") } } },
    });
    let mut events = Vec::new();
    workplace.run(json!({ "kind": "pack", "sources": sources, "size": 8 }), "out", &mut events).unwrap();
    assert_eq!(per_class(&workplace.images("out/train.h5")), [9, 0, 9]);
    assert_eq!(per_class(&workplace.images("out/test.h5")), [1, 0, 1]);
    assert_eq!(per_class(&workplace.images("out/val.h5")), [1, 1, 0]);
    assert_eq!(workplace.images("out/val.h5").rows().label_names, ["cat", "cow", "dog"]);
    assert_eq!(warnings(&events), ["no training image shows cow"]);
}

#[test]
fn an_unreadable_image_is_named_or_left_out() {
    let workplace = Workplace::new();
    workplace.write("set/cat/4.jpg", &picture(30, 30, 40)[..300]);
    workplace.write("set/dog/html.png", b"<html>");
    let spec = |on_error: &str| json!({ "kind": "pack", "images": workplace.path("set"), "size": 16, "on-error": on_error });

    let error = workplace.run(spec("fail"), "failed", &mut Vec::new()).unwrap_err().to_string();
    let html = format!("{}: not an image", workplace.path("set/dog/html.png").display());
    let truncated = format!("{}: truncated JPEG", workplace.path("set/cat/4.jpg").display());
    assert!(error.starts_with(&html) || error.starts_with(&truncated), "{error}");

    let mut events = Vec::new();
    let output = workplace.run(spec("skip"), "skipped", &mut events).unwrap();
    let mut skipped: Vec<&str> = output.skipped.iter().map(|image| image.path.as_str()).collect();
    skipped.sort_unstable();
    assert_eq!(skipped, ["cat/4.jpg", "dog/html.png"]);
    assert_eq!(warnings(&events).len(), 2);
    let images = workplace.images("skipped/train.h5");
    assert_eq!(per_class(&images), [9, 10]);
    for (index, label) in images.rows().labels.iter().enumerate() {
        assert!(images.row(index).iter().all(|pixel| *pixel == [40, 200][*label as usize]));
    }
    let mut files: Vec<_> = fs::read_dir(workplace.path("skipped")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort_unstable();
    assert_eq!(files, ["train.h5", "train.rows"]);
}

#[test]
fn what_cannot_be_packed_is_an_error_with_the_numbers() {
    let workplace = Workplace::new();
    fs::create_dir(workplace.path("empty")).unwrap();
    let error = |spec: Value| {
        let error = workplace.run(spec, "out", &mut Vec::new()).unwrap_err().to_string();
        error.replace(&workplace.folder.path().display().to_string(), "")
    };
    assert_eq!(error(json!({ "kind": "pack", "images": workplace.path("empty"), "size": 8 })), "/empty: there is no image in this folder");
    assert_eq!(
        error(json!({ "kind": "pack", "images": workplace.path("set"), "size": 8, "split": { "val": 15, "test": 6 } })),
        "/set: the split asks for 6 images for test and 15 for val, but there are only 20"
    );
    assert_eq!(
        error(json!({ "kind": "pack", "images": workplace.path("set"), "size": 8, "split": { "val": 0.01 } })),
        "no image is left for val: the split of 20 images is val: 0.01, test: 0"
    );
}

#[test]
fn wrong_parameters_are_found_before_anything_runs() {
    let problems = |spec: Value| {
        let spec: StageSpec = serde_json::from_value(spec).unwrap();
        spec.check().into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect::<Vec<_>>()
    };
    assert_eq!(problems(json!({ "kind": "pack", "size": 8 })), [": give either `images` or `sources`"]);
    assert_eq!(
        problems(json!({ "kind": "pack", "images": "x", "size": 0, "labels": { "ancestor": 0 }, "split": { "val": 0.5, "test": 0.5 } })),
        [
            "size: `size` is 1 to 4096, not 0",
            "labels.ancestor: 1 is the folder that holds the image, 2 the one above; not 0",
            "split: `val` and `test` leave nothing: 0.5 + 0.5 is not below 1"
        ]
    );
    let sources = json!({ "val": { "images": "x", "labels": { "filename": "cat|dog" }, "split": { "val": 3 } } });
    assert_eq!(
        problems(json!({ "kind": "pack", "sources": sources, "size": 8, "split": { "test": 1 } })),
        [
            "split: with `sources`, each source has its own `split`",
            "sources.val.labels.filename: `cat|dog` has no group: put what names the class in parentheses, as in `^(cat|dog)\\.`",
            "sources.val.split.val: all images of this source are for `val` already"
        ]
    );
}

#[test]
fn a_stage_stops_when_it_is_asked_to() {
    let workplace = Workplace::new();
    let spec = json!({ "kind": "pack", "images": workplace.path("set"), "size": 16 });
    let spec: StageSpec = serde_json::from_value(spec).unwrap();
    let inputs = spec.inputs().into_iter().map(|input| (input.name.to_string(), given(input.source))).collect();
    let job = StageJob {
        stage: "pack".parse().unwrap(),
        spec,
        inputs,
        out: workplace.path(""),
        seed: 7,
        device: Device::Auto,
        threads: None,
        resume: None,
        packed_rows: Default::default(),
        earlier: Vec::new(),
    };
    let result = run(&job, &mut StageContext { emit: &mut |_| (), cancelled: &AtomicBool::new(true), deadline: None });
    assert!(matches!(result, Err(StageError::Interrupted)));
}

#[test]
fn means_are_exact() {
    let workplace = Workplace::new();
    let images = workplace.path("set");
    let spec = json!({ "kind": "pack", "images": images, "size": 4, "split": { "test": 2 }, "fit": "stretch" });
    workplace.run(spec, "out", &mut Vec::new()).unwrap();
    let reference = json!({ "file": workplace.path("out/train.h5") });
    for per in ["channel", "pixel"] {
        let spec = json!({ "kind": "compute-mean", "images": reference, "per": per });
        workplace.run(spec, per, &mut Vec::new()).unwrap();
        // Nine images of 40 and nine of 200: a mean of 120, each 80 away.
        let mean = Mean::read(&workplace.path(per).join("mean.json")).unwrap();
        assert_eq!((mean.r, mean.g, mean.b, mean.std, mean.images), (120.0, 120.0, 120.0, Some([80.0; 3]), Some(18)));
        assert_eq!(mean.pixels.map(|image| image.values), (per == "pixel").then(|| vec![120.0; 48]));
    }
}

#[test]
fn files_of_the_book_are_read() {
    // Made by h5py, see tests/pictures/make.py: float64, names of variable length, no paths.
    let book = ImagesFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures/book.hdf5")).unwrap();
    assert_eq!((book.len(), book.size()), (2, (2, 3)));
    assert_eq!(book.pixels(), (0..36).map(|value| value * 7).collect::<Vec<u8>>());
    assert_eq!(
        (book.rows().labels.as_slice(), book.rows().label_names.as_slice()),
        (&[1, 0][..], &["cat".to_owned(), "dög".to_owned()][..])
    );
}

#[test]
fn folders_are_found_through_links() {
    let workplace = Workplace::new();
    std::os::unix::fs::symlink(workplace.path("set"), workplace.path("link")).unwrap();
    let linked = list_images(&workplace.path("link")).unwrap();
    assert_eq!(linked, list_images(&workplace.path("set")).unwrap());
}
