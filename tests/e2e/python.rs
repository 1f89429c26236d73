//! What packtrain writes, read by the programs that people read it with: TensorBoard and PyTorch.
//!
//! `make test-python` fetches them and runs these tests; `cargo test` alone leaves them out.

use std::fs;
use std::path::Path;
use std::process::Command;

use packtrain::artifact::{History, HistoryEpoch};
use serde_json::Value;

use crate::harness::Project;

/// Trains each network, with options, on few images, and evaluates it; then logistic regression on the features of one of them.
const NETWORKS: &str = r#"
name: networks
seed: 3
stages:
  pack: { kind: pack, images: images, size: 64, split: { val: 0.1, test: 0.3 } }
  mean: { kind: compute-mean, images: pack.train }
  mean-image: { kind: compute-mean, images: pack.train, per: pixel }
  alexnet:
    kind: train
    train: pack.train
    mean: mean
    model: alexnet
    input: { size: 57, train: random-crop, eval: resize }
    optimizer: { adam: { lr: 1.0e-4 } }
    epochs: 2
    batch: 16
  mini:
    kind: train
    train: pack.train
    mean: mean-image
    model: { mini-googlenet: { activation: elu, norm: after-activation } }
    input: { size: 32, train: random-crop, eval: center-crop, scale: 0.01 }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 3
    batch: 16
  deeper:
    kind: train
    train: pack.train
    model: deeper-googlenet
    input: { size: 33, train: random-crop, eval: resize, scale: 0.01 }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 2
    batch: 16
  shallower:
    kind: train
    train: pack.train
    val: pack.val
    model: { deeper-googlenet: { modules-4: false } }
    input: { size: 64, train: resize, eval: resize, scale: 0.01 }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 2
    batch: 16
  features: { kind: extract-features, train: pack.train, test: pack.test, model: mini }
  classifier: { kind: train, train: features.train, model: logistic-regression }
  of-alexnet: { kind: evaluate, images: pack.test, model: alexnet }
  of-mini: { kind: evaluate, images: pack.test, model: mini }
  of-deeper: { kind: evaluate, images: pack.test, model: deeper }
  of-shallower: { kind: evaluate, images: pack.test, model: shallower }
  of-classifier: { kind: evaluate, features: features.test, model: classifier }
"#;

/// Prints the scalars of every folder of event files: `{folder: {tag: [[step, value, wall time]]}}`.
const READ_SCALARS: &str = r#"
import json, pathlib, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

def scalars(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [[e.step, e.value, e.wall_time] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

root = pathlib.Path(sys.argv[1])
folders = sorted({path.parent for path in root.rglob("events.out.tfevents.*")})
print(json.dumps({str(folder.relative_to(root)): scalars(folder) for folder in folders}))
"#;

fn networks() -> Project {
    let project = Project::with_images(10);
    project.write("networks.yaml", NETWORKS);
    project.run(&["networks.yaml", "--name", "all"]);
    project
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a script in the project's folder; gives what it prints.
fn python(project: &Project, script: &str, arguments: &[&str]) -> String {
    let python = std::env::var("PACKTRAIN_PYTHON").expect("PACKTRAIN_PYTHON names a Python with the packages; `make test-python` sets it");
    project.write("script.py", script);
    let mut command = Command::new(python);
    command.arg("script.py").args(arguments).current_dir(project.path("")).env("PYTHONPATH", repository().join("python"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of the columns that tell probabilities.
fn probabilities(project: &Project, stage: &str) -> Vec<Vec<f64>> {
    let csv = String::from_utf8(project.read(&format!("output/networks/{stage}/predictions.csv"))).unwrap();
    let mut lines = csv.lines();
    let first = lines.next().unwrap().split(',').position(|name| name.starts_with("p(")).unwrap();
    lines.map(|line| line.split(',').skip(first).map(|cell| cell.parse().unwrap()).collect()).collect()
}

/// The blocks of Python in docs/PYTORCH.md.
fn snippets() -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs/PYTORCH.md")).unwrap();
    text.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs PyTorch; `make test-python` fetches it"]
fn pytorch_computes_what_an_evaluation_says() {
    let project = networks();
    let [network, classifier] = <[String; 2]>::try_from(snippets()).unwrap();
    assert!(network.lines().filter(|line| !line.is_empty()).count() <= 10);
    for stage in ["alexnet", "mini", "deeper", "shallower"] {
        let script = network.replace("output/dogs/train", &format!("output/networks/{stage}")).replace("dogs", "networks");
        compare(stage, &python(&project, &script, &[]), &probabilities(&project, &format!("of-{stage}")));
    }
    let read = "import h5py\nwith h5py.File('output/networks/features/test.h5') as f:\n    x = torch.from_numpy(f['features'][:])\n";
    let print = "for row in classifier(x).softmax(1).tolist():\n    print(*row)\n";
    let script = format!("{}{read}{print}", classifier.replace("dogs", "networks"));
    compare("classifier", &python(&project, &script, &[]), &probabilities(&project, "of-classifier"));
}

#[expect(clippy::print_stdout, reason = "`make test-python` shows how near the numbers are")]
fn compare(stage: &str, printed: &str, expected: &[Vec<f64>]) {
    let rows: Vec<Vec<f64>> = printed.lines().map(|line| line.split_whitespace().map(|number| number.parse().unwrap()).collect()).collect();
    assert_eq!((rows.len(), rows[0].len()), (15, 5), "{stage}");
    let distances = rows.iter().flatten().zip(expected.iter().flatten()).map(|(a, b)| (a - b).abs());
    let most = distances.fold(0.0, f64::max);
    println!("{stage}: 75 probabilities, the greatest distance is {most:.1e}");
    assert!(most < 1e-5, "{stage}: {most}\n{rows:?}\n{expected:?}");
}

#[test]
#[ignore = "needs TensorBoard; `make test-python` fetches it"]
fn tensorboard_reads_every_epoch() {
    let project = networks();
    assert_eq!(project.packtrain(&["tensorboard", "all", "-o", "board"]).code, 0);
    let read: Value = serde_json::from_str(&python(&project, READ_SCALARS, &["board"])).unwrap();
    let folders: Vec<&String> = read.as_object().unwrap().keys().collect();
    let evaluations = ["all/of-alexnet", "all/of-classifier", "all/of-deeper", "all/of-mini", "all/of-shallower"];
    assert!(evaluations.iter().all(|folder| read[folder]["rank-1"][0][0] == 0), "{folders:?}");
    for stage in ["alexnet", "mini", "deeper", "shallower"] {
        let folder = &read[format!("all/{stage}")];
        let history = History::read(&project.path(&format!("output/networks/{stage}/history.json"))).unwrap();
        let expected = |tag: &str, value: fn(&HistoryEpoch) -> Option<f64>| {
            let events = folder[tag].as_array().cloned().unwrap_or_default();
            let told: Vec<(u64, f64)> = events.iter().map(|event| (event[0].as_u64().unwrap(), event[1].as_f64().unwrap())).collect();
            let kept = history.epochs.iter().filter_map(|epoch| Some((u64::from(epoch.epoch), f64::from(value(epoch)? as f32))));
            assert_eq!(told, kept.collect::<Vec<_>>(), "{stage} {tag}");
            let times: Vec<f64> = events.iter().map(|event| event[2].as_f64().unwrap()).collect();
            assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        };
        expected("loss/train", |epoch| Some(epoch.train_loss));
        expected("accuracy/train", |epoch| Some(epoch.train_accuracy));
        expected("loss/val", |epoch| epoch.val_loss);
        expected("accuracy/val", |epoch| epoch.val_accuracy);
        expected("learning-rate", |epoch| Some(epoch.learning_rate));
    }
}
