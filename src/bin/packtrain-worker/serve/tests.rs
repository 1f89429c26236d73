//! Jobs as a coordinator sends them, run in this process.

use std::fs;
use std::io::{BufReader, Cursor, Write, pipe};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use packtrain::artifact::{Evaluation, FeaturesFile, History, ImagesFile, Mean, ModelFile, ModelHeader, OversampleEvaluation};
use packtrain::stage::{PretrainedNetwork, RowCounts, RowSources, ValMetric};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use super::*;
use crate::fixture;
use crate::net::{FeatureNet, reference};
use crate::weights::Weights;

/// A folder with packed images in it, and a folder for every job's outputs.
struct Workshop {
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// A worker runs one job at a time: libtorch's random numbers belong to the process.
static TURN: Mutex<()> = Mutex::new(());

impl Workshop {
    /// With 36 images of 16×16 pixels to train on and 9 to validate on.
    fn new() -> Workshop {
        // Networks this small gain nothing from threads, and lose much where tests share the cores.
        tch::set_num_threads(1);
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let workshop = Workshop { folder: TempDir::new().unwrap(), _turn: turn };
        fixture::write_coloured(&workshop.path("train.h5"), 16, 36);
        fixture::write_coloured(&workshop.path("val.h5"), 16, 9);
        let mean = Mean { r: 110.0, g: 110.0, b: 110.0, std: None, images: None, pixels: None };
        mean.write(&workshop.path("mean.json")).unwrap();
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A job whose inputs are files of this folder; outputs go to the folder `stage`.
    fn job(&self, stage: &str, seed: u64, spec: Value, inputs: &[(&str, &str)]) -> Value {
        fs::create_dir_all(self.path(stage)).unwrap();
        let inputs: serde_json::Map<_, _> =
            inputs.iter().map(|(name, file)| (name.to_string(), json!({"file": self.path(file)}))).collect();
        json!({"stage": stage, "spec": spec, "inputs": inputs, "out": self.path(stage), "seed": seed, "device": device()})
    }

    /// A job that extracts features, and is told what the rows of its packed images are.
    fn extract(&self, stage: &str, parameters: Value, inputs: &[(&str, &str)]) -> Value {
        let mut spec = json!({"kind": "extract-features"});
        spec.as_object_mut().unwrap().extend(parameters.as_object().unwrap().clone());
        let packed = inputs.iter().filter(|(_, file)| file.ends_with(".h5"));
        let rows: serde_json::Map<_, _> =
            packed.map(|(name, file)| (name.to_string(), json!(RowSources::of_packed(&self.images(file))))).collect();
        let mut job = self.job(stage, 1, spec, inputs);
        job["packed_rows"] = json!(rows);
        job
    }

    fn images(&self, file: &str) -> ImagesFile {
        ImagesFile::open(&self.path(file)).unwrap()
    }

    fn features(&self, file: &str) -> FeaturesFile {
        FeaturesFile::open(&self.path(file)).unwrap()
    }

    /// Writes random weights of a network.
    fn write_weights(&self, file: &str, network: PretrainedNetwork) {
        let mut weights = Weights::random(1, Device::Cpu);
        FeatureNet::pretrained(network, &mut weights);
        let header = ModelHeader { architecture: json!(network), class_names: Vec::new(), input: None };
        ModelFile::write(&self.path(file), &header, &weights.save()).unwrap();
    }

    fn train(&self, stage: &str, seed: u64, epochs: u32) -> Value {
        let spec = json!({
            "kind": "train", "train": "pack.train", "val": "pack.val", "mean": "mean",
            "model": {"mini-googlenet": {"l2": 1e-4}},
            "input": {"size": 12, "train": "random-crop", "eval": "resize", "scale": 0.02},
            "augment": {"horizontal-flip": true},
            "optimizer": {"sgd": {"lr": 0.01, "momentum": 0.9}},
            "epochs": epochs, "batch": 7,
        });
        self.job(stage, seed, spec, &[("train", "train.h5"), ("val", "val.h5"), ("mean", "mean.json")])
    }
}

/// Where the jobs run.
fn device() -> String {
    device::name(reference::device())
}

fn silent() -> Signals {
    Signals { cancelled: Arc::default(), abandoned: || {} }
}

/// Everything that a worker says to some lines.
fn answers(lines: &str, signals: &Signals) -> Vec<FromWorker> {
    let mut output = Vec::new();
    serve(Cursor::new(lines.to_owned()), &mut output, signals).unwrap();
    parse(&output)
}

fn parse(output: &[u8]) -> Vec<FromWorker> {
    output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn job_line(job: &Value) -> String {
    format!("{}\n", json!({"message": "job", "job": job}))
}

/// The events of a job that succeeds.
fn events_of(job: &Value) -> Vec<StageEvent> {
    run_well(job).0
}

/// The events of a job that succeeds, and what it gives.
fn run_well(job: &Value) -> (Vec<StageEvent>, StageOutput) {
    let mut answers = answers(&job_line(job), &silent());
    let output = match answers.pop() {
        Some(FromWorker::Done { output }) if output.device == Some(device()) => output,
        last => panic!("{last:?}"),
    };
    let event = |answer| if let FromWorker::Event { event } = answer { Some(event) } else { None };
    (answers.into_iter().filter_map(event).collect(), output)
}

/// The error of a job that fails.
fn error_of(job: &Value) -> String {
    match answers(&job_line(job), &silent()).pop() {
        Some(FromWorker::Failed { error, interrupted: false }) => error,
        other => panic!("{other:?}"),
    }
}

fn metrics(events: &[StageEvent]) -> Vec<(String, f64)> {
    let metric = |event: &StageEvent| if let StageEvent::Metric { name, value } = event { Some((name.clone(), *value)) } else { None };
    events.iter().filter_map(metric).collect()
}

#[test]
fn a_worker_says_hello_first_and_answers_a_line_that_is_no_message() {
    let answers = answers("{\"message\": \"dance\"}\n", &silent());
    let [FromWorker::Hello(hello), FromWorker::Failed { error, interrupted: false }] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((hello.protocol, hello.libtorch.as_str()), (PROTOCOL_VERSION, "2.11.0"));
    assert!(hello.devices.contains(&"cpu".to_owned()));
    assert!(error.contains("no message"), "{error}");
}

#[test]
fn the_same_seed_gives_the_same_model_byte_for_byte() {
    let workshop = Workshop::new();
    for (stage, seed) in [("a", 5), ("b", 5), ("c", 6)] {
        events_of(&workshop.train(stage, seed, 2));
    }
    let read = |name: &str| fs::read(workshop.path(name)).unwrap();
    assert!(read("a/model.safetensors") == read("b/model.safetensors"));
    assert!(read("a/history.json") == read("b/history.json"));
    assert!(read("a/model.safetensors") != read("c/model.safetensors"));
}

#[test]
fn a_network_learns_and_its_evaluations_agree_with_its_history() {
    let workshop = Workshop::new();
    let events = events_of(&workshop.train("train", 1, 90));
    let history = History::read(&workshop.path("train/history.json")).unwrap();
    let epochs = events.iter().filter(|event| matches!(event, StageEvent::Epoch(_))).count();
    assert_eq!((epochs, history.epochs.len()), (90, 90));
    assert!(history.epochs[89].train_loss < 0.7 * history.epochs[0].train_loss, "{history:?}");

    let spec = json!({"kind": "evaluate", "images": "pack.val", "model": "train", "mean": "mean", "batch": 4});
    let inputs = [("images", "val.h5"), ("model", "train/model.safetensors"), ("mean", "mean.json")];
    let events = events_of(&workshop.job("evaluate", 1, spec, &inputs));
    let evaluation = Evaluation::read(&workshop.path("evaluate/evaluation.json")).unwrap();
    assert_eq!(metrics(&events), [("rank-1".to_owned(), evaluation.rank1), ("rank-5".to_owned(), 1.0)]);
    // 450 steps bring the running statistics near enough for the colours to be told apart.
    assert!(evaluation.rank1 > 0.8, "{evaluation:?}");
    assert_eq!(Some(evaluation.rank1), history.epochs[89].val_accuracy);
    assert_eq!(fs::read_to_string(workshop.path("evaluate/predictions.csv")).unwrap().lines().count(), 10);

    let spec = json!({"kind": "oversample-eval", "images": "pack.val", "model": "train", "crops": 10, "batch": 4});
    let events = events_of(&workshop.job("crops", 1, spec, &inputs[..2]));
    let oversampled = OversampleEvaluation::read(&workshop.path("crops/evaluation.json")).unwrap();
    // The baseline's batches are larger, which moves the last digits.
    assert_eq!(oversampled.baseline.confusion, evaluation.confusion);
    assert!((oversampled.baseline.loss - evaluation.loss).abs() < 1e-5, "{oversampled:?}");
    assert_ne!(oversampled.crops.loss, evaluation.loss);
    let names: Vec<_> = metrics(&events).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["baseline rank-1", "baseline rank-5", "10-crop rank-1", "10-crop rank-5", "gain"]);
}

#[test]
fn training_stops_early_and_keeps_the_best_epoch() {
    let workshop = Workshop::new();
    let mut job = workshop.train("train", 1, 60);
    // So high a rate that the validation loss soon becomes worse.
    job["spec"]["optimizer"]["sgd"]["lr"] = json!(0.5);
    job["spec"]["keep"] = json!({"best": {"metric": "val-loss"}});
    job["spec"]["early-stopping"] = json!({"patience": 2});
    let events = events_of(&job);
    let epochs = History::read(&workshop.path("train/history.json")).unwrap().epochs;
    let best = ValMetric::ValLoss.best(&epochs).unwrap();
    assert_eq!(epochs.len(), best + 3);
    let note = format!("stopped after epoch {}: val-loss has not become better for 2 epochs", epochs.len());
    assert!(events.contains(&StageEvent::Note { message: note }));

    job["out"] = json!(workshop.path("short"));
    fs::create_dir(workshop.path("short")).unwrap();
    job["spec"]["epochs"] = json!(best + 1);
    events_of(&job);
    let read = |name: &str| fs::read(workshop.path(name)).unwrap();
    assert!(read("train/model.safetensors") == read("short/model.safetensors"));
}

#[test]
fn a_network_learns_with_every_option_and_in_bf16() {
    let workshop = Workshop::new();
    let mut job = workshop.train("train", 1, 30);
    for (option, value) in [
        ("precision", json!("bf16")),
        ("clip-norm", json!(1.0)),
        ("label-smoothing", json!(0.1)),
        ("class-weights", json!("balanced")),
        ("schedule", json!({"cosine": {}})),
        ("warmup", json!({"epochs": 2})),
        ("optimizer", json!({"adamw": {"lr": 2e-3}})),
        ("model", json!({"mini-googlenet": {"activation": "elu", "norm": "after-activation"}})),
    ] {
        job["spec"][option] = value;
    }
    events_of(&job);
    let epochs = History::read(&workshop.path("train/history.json")).unwrap().epochs;
    assert!(epochs[29].train_loss < 0.7 * epochs[0].train_loss, "{epochs:?}");
    assert_eq!((epochs[0].learning_rate, epochs[29].learning_rate < 1e-5), (2e-4, true));
}

#[test]
fn features_of_a_trained_network_give_its_logits_through_its_head() {
    let workshop = Workshop::new();
    events_of(&workshop.train("train", 1, 1));
    let parameters = json!({"train": "pack.train", "val": "pack.val", "model": "train", "batch": 5});
    let inputs = [("train", "train.h5"), ("val", "val.h5"), ("model", "train/model.safetensors")];
    events_of(&workshop.extract("features", parameters, &inputs));
    let features = FeaturesFile::open(&workshop.path("features/val.h5")).unwrap();
    assert_eq!((features.dimensions, features.rows.labels.len()), (336, 9));
    assert_eq!(FeaturesFile::open(&workshop.path("features/train.h5")).unwrap().rows.labels.len(), 36);

    let model = ModelFile::read(&workshop.path("train/model.safetensors")).unwrap();
    let tensor = |name: &str, size: &[i64]| {
        let tensor = model.tensors.iter().find(|tensor| tensor.name == name).unwrap();
        Tensor::from_slice(&tensor.values).view(size)
    };
    let rows = Tensor::from_slice(&features.values).view([9, 336]);
    let logits = rows.linear(&tensor("dense.weight", &[3, 336]), Some(tensor("dense.bias", &[3])));
    let found = logits.cross_entropy_for_logits(&Tensor::from_slice(&features.rows.labels)).double_value(&[]);
    let penalty: f64 =
        model.tensors.iter().filter(|tensor| tensor.shape.len() > 1).flat_map(|tensor| &tensor.values).map(|&w| f64::from(w * w)).sum();
    let expected = History::read(&workshop.path("train/history.json")).unwrap().epochs[0].val_loss.unwrap();
    assert!((found + 1e-4 * penalty - expected).abs() < 1e-4, "{found} {expected}");
}

#[test]
fn features_have_the_same_bits_in_any_order_and_any_company() {
    let workshop = Workshop::new();
    events_of(&workshop.train("train", 1, 1));
    workshop.write_weights("resnet18.safetensors", PretrainedNetwork::Resnet18);
    workshop.write_weights("squeezenet.safetensors", PretrainedNetwork::Squeezenet1_0);
    // Backwards, so that the last batch of five has one image.
    let some: Vec<usize> = (20..31).rev().collect();
    let all = workshop.images("train.h5");
    fixture::write(&workshop.path("some.h5"), 16, &some.iter().flat_map(|row| all.row(*row)).copied().collect::<Vec<u8>>());
    for threads in [1, 2] {
        tch::set_num_threads(threads);
        for (parameters, input, weights) in [
            (json!({"model": "train"}), "model", "train/model.safetensors"),
            (json!({"network": "resnet18", "weights": {"file": "w"}, "size": 64}), "weights", "resnet18.safetensors"),
            (json!({"network": "squeezenet1_0", "weights": {"file": "w"}, "size": 64}), "weights", "squeezenet.safetensors"),
        ] {
            let features = |images: &str| {
                let mut parameters = parameters.clone();
                parameters["images"] = json!("pack");
                parameters["batch"] = json!(5);
                events_of(&workshop.extract("features", parameters, &[("images", images), (input, weights)]));
                workshop.features("features/features.h5")
            };
            let (alone, together) = (features("some.h5"), features("train.h5"));
            let bits = |file: &FeaturesFile, row: usize| -> Vec<u32> {
                file.values.chunks_exact(file.dimensions).nth(row).unwrap().iter().map(|value| value.to_bits()).collect()
            };
            assert!(together.values.iter().any(|value| *value != together.values[0]), "{weights}: all features are the same");
            for (row, image) in some.iter().enumerate() {
                assert!(bits(&alone, row) == bits(&together, *image), "{weights} with {threads} threads: image {image}");
            }
        }
    }
}

#[test]
fn features_that_are_known_are_copied_if_they_were_computed_alike() {
    let workshop = Workshop::new();
    events_of(&workshop.train("train", 1, 1));
    let inputs = [("images", "train.h5"), ("model", "train/model.safetensors")];
    let parameters = json!({"images": "pack", "model": "train", "batch": 5});
    let first = workshop.extract("first", parameters.clone(), &inputs);
    let (_, output) = run_well(&first);
    assert_eq!(output.rows, Some(RowCounts { reused: 0, made: 36 }));
    let sources = RowSources::parse(&fs::read(workshop.path("first/features.rows")).unwrap()).unwrap();
    assert_eq!(sources, RowSources::of_packed(&workshop.images("train.h5")));

    let earlier = |rows: &[usize], arithmetic: Option<String>| {
        let rows: serde_json::Map<_, _> = rows.iter().map(|row| (sources.0[*row].to_string(), json!(row))).collect();
        json!([{"file": workshop.path("first/features.h5"), "arithmetic": arithmetic, "rows": rows}])
    };
    let mut second = workshop.extract("second", parameters, &inputs);
    second["earlier"] = earlier(&[0, 1, 7, 34], output.arithmetic.clone());
    assert_eq!(run_well(&second).1.rows, Some(RowCounts { reused: 4, made: 32 }));
    let read = |name: &str| fs::read(workshop.path(name)).unwrap();
    assert!(read("first/features.h5") == read("second/features.h5"));

    second["earlier"] = earlier(&[0, 1, 7, 34], Some("an abacus".to_owned()));
    assert_eq!(run_well(&second).1.rows, Some(RowCounts { reused: 0, made: 36 }));

    second["earlier"] = earlier(&[0, 36 - 1], output.arithmetic.clone());
    second["earlier"][0]["rows"][sources.0[0].to_string()] = json!(36);
    assert!(error_of(&second).ends_with("it is not the earlier result that it should be"));

    second["earlier"] = earlier(&(0..36).collect::<Vec<_>>(), output.arithmetic);
    second["inputs"]["model"]["file"] = json!(workshop.path("no-such-model"));
    let (events, output) = run_well(&second);
    assert_eq!(output.rows, Some(RowCounts { reused: 36, made: 0 }));
    assert!(!events.iter().any(|event| matches!(event, StageEvent::Progress { .. })));
    assert!(read("first/features.h5") == read("second/features.h5"));
}

#[test]
fn what_cannot_be_run_is_an_error_that_says_why() {
    let workshop = Workshop::new();
    events_of(&workshop.train("train", 1, 1));

    let oversample = json!({"kind": "oversample-eval", "images": "pack.val", "model": "train"});
    fixture::write_coloured(&workshop.path("exact.h5"), 12, 3);
    let error = error_of(&workshop.job("e", 1, oversample.clone(), &[("images", "exact.h5"), ("model", "train/model.safetensors")]));
    assert!(
        error.ends_with(
            "exact.h5: the images are 12×12 pixels, as the network's input is, so that all crops are the same; pack them larger"
        ),
        "{error}"
    );
    fixture::write_coloured(&workshop.path("small.h5"), 8, 3);
    let error = error_of(&workshop.job("e", 1, oversample.clone(), &[("images", "small.h5"), ("model", "train/model.safetensors")]));
    assert!(error.contains("the images are 8×8 pixels, too small for crops of 12×12"), "{error}");

    let mean = Mean { r: 1.0, g: 2.0, b: 3.0, std: None, images: None, pixels: None };
    mean.write(&workshop.path("other.json")).unwrap();
    let inputs = [("images", "val.h5"), ("model", "train/model.safetensors"), ("mean", "other.json")];
    let error = error_of(&workshop.job("e", 1, oversample, &inputs));
    assert!(error.ends_with("is not the one that the model was trained with: R 110.000, G 110.000, B 110.000"), "{error}");

    let resnet = json!({"images": "pack.val", "network": "resnet50", "weights": {"file": "w"}});
    let error = error_of(&workshop.extract("e", resnet, &[("images", "val.h5"), ("weights", "train/model.safetensors")]));
    assert!(error.ends_with("there is no tensor `conv1.weight` [64, 3, 7, 7], with torchvision's names of resnet50"), "{error}");

    let mut tiny = workshop.train("e", 1, 1);
    tiny["spec"]["input"]["size"] = json!(6);
    assert_eq!(error_of(&tiny), "input.size: mini-googlenet needs images of 7 pixels or more, not 6");

    let mut wild = workshop.train("e", 1, 3);
    wild["spec"]["optimizer"]["sgd"]["lr"] = json!(1e30);
    assert!(error_of(&wild).starts_with("training diverged: the loss of epoch "));
    // With a single step the loss, taken before it, is still finite.
    let mut wild = workshop.train("e", 1, 1);
    wild["spec"]["optimizer"]["sgd"]["lr"] = json!(1e30);
    wild["spec"]["batch"] = json!(36);
    assert!(error_of(&wild).starts_with("training diverged: the validation loss of epoch 1 is "));
}

#[test]
fn a_cancelled_job_fails_as_interrupted() {
    let workshop = Workshop::new();
    let (input, mut coordinator) = pipe().unwrap();
    coordinator.write_all(job_line(&workshop.train("train", 1, 100_000)).as_bytes()).unwrap();
    let mut output = Cancelling { coordinator: Some(coordinator), output: Vec::new() };
    serve(BufReader::new(input), &mut output, &silent()).unwrap();
    let last = parse(&output.output).pop();
    assert!(matches!(last, Some(FromWorker::Failed { interrupted: true, .. })), "{last:?}");
    assert!(!workshop.path("train/model.safetensors").exists());
}

/// What a coordinator sees; it cancels when the first epoch is over.
struct Cancelling<W> {
    coordinator: Option<W>,
    output: Vec<u8>,
}

impl<W: Write> Write for Cancelling<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        if bytes.windows(7).any(|window| window == b"\"epoch\"")
            && let Some(coordinator) = &mut self.coordinator
        {
            coordinator.write_all(b"{\"message\": \"cancel\"}\n")?;
        }
        if bytes.windows(8).any(|window| window == b"\"failed\"") {
            self.coordinator = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

static ABANDONED: OnceLock<()> = OnceLock::new();

#[test]
fn the_end_of_the_input_in_the_middle_of_a_job_is_noticed() {
    let workshop = Workshop::new();
    let signals = Signals { cancelled: Arc::default(), abandoned: || ABANDONED.set(()).unwrap() };
    let (input, mut coordinator) = pipe().unwrap();
    coordinator.write_all(job_line(&workshop.train("train", 1, 100_000)).as_bytes()).unwrap();
    let cancelled = Arc::clone(&signals.cancelled);
    thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(500));
        drop(coordinator);
        ABANDONED.wait();
        cancelled.store(true, Ordering::SeqCst);
    });
    let mut output = Vec::new();
    serve(BufReader::new(input), &mut output, &signals).unwrap();
    assert!(matches!(parse(&output).pop(), Some(FromWorker::Failed { interrupted: true, .. })));
}

#[test]
fn a_panic_of_libtorch_is_told_in_one_line() {
    let zeros = |size: i64| Tensor::zeros([size, size], (Kind::Float, Device::Cpu));
    let panic = catch_unwind(AssertUnwindSafe(|| zeros(2).matmul(&zeros(3)))).unwrap_err();
    let message = panic_message(panic.as_ref());
    assert_eq!(message, "libtorch: mat1 and mat2 shapes cannot be multiplied (2x2 and 3x3)");
}
