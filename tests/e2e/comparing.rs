//! Runs beside each other, and results as people read them.

use std::collections::BTreeMap;
use std::fs;

use packtrain::artifact::{FeaturesWriter, History, HistoryEpoch, RowLabels};
use packtrain::cache::{ActionRecord, Cache, Provenance, StoredFile};
use packtrain::event::{EpochMetrics, ListedStage, RunEvent, RunOutcome, StageEvent, StageOutput, StageResult};
use packtrain::key::{Fingerprint, StagePath};
use packtrain::record::{RunProvenance, RunRecord};
use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{Project, store};

const LOGISTIC: &str = "
name: logistic
params: { c: 1.0 }
stages:
  train:
    kind: train
    train: { file: train.h5 }
    model:
      logistic-regression:
        c: ['${c}']
        folds: 3
  eval:
    kind: evaluate
    features: { file: test.h5 }
    model: train
";

/// A project with features of three classes that overlap, to learn from and to test on.
fn project() -> Project {
    let project = Project::new();
    for (file, rows, shift) in [("train.h5", 60, 0.0), ("test.h5", 40, 0.3)] {
        let labels: Vec<i64> = (0..rows).map(|row| row % 3).collect();
        let label_names = ["ant", "bee", "cow"].map(str::to_owned).to_vec();
        let paths = (0..rows).map(|row| format!("{row}.jpg")).collect();
        let value =
            |row: i64, column: i64| (((row * 7 + column * 3) % 11) as f64 * 0.2 + ((row % 3) * column) as f64 * 0.25 + shift) as f32;
        let values: Vec<f32> = (0..rows * 4).map(|index| value(index / 4, index % 4)).collect();
        let mut writer = FeaturesWriter::create(&project.path(file), 4, &RowLabels { labels, label_names, paths }).unwrap();
        writer.append(&values).unwrap();
        writer.finish().unwrap();
    }
    project.write("logistic.yaml", LOGISTIC);
    project
}

/// What a command prints, with `ID`, `WHEN` and `T` for what differs from run to run.
fn told(project: &Project, arguments: &[&str]) -> String {
    let output = project.packtrain(arguments);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let replaced = [(r"\d{8}T\d{6}-\d+", "ID"), (r"\d{4}-\d\d-\d\d \d\d:\d\d", "WHEN"), (r"\b[0-9.]+ m?s\b", "T"), ("   +", "  ")];
    replaced.into_iter().fold(output.stdout, |text, (from, to)| Regex::new(from).unwrap().replace_all(&text, to).into_owned())
}

fn refused(project: &Project, arguments: &[&str]) -> String {
    let output = project.packtrain(arguments);
    assert_eq!(output.code, 2, "{}{}", output.stdout, output.stderr);
    output.stderr
}

#[test]
fn runs_with_other_values_stand_beside_each_other_with_what_differs() {
    let project = project();
    project.run(&["logistic.yaml", "--name", "first"]);
    project.run(&["logistic.yaml", "-p", "c=0.001", "--tag", "weak"]);
    project.run(&["logistic.yaml"]);
    let table = "\
run  name  tags  c  train C  eval rank-1  eval rank-5
ID  first  1.0  1  62.50 %  100.00 %
ID  weak  0.001  0.001  67.50 %  100.00 %
";
    // The last run gave the results of the first again.
    assert_eq!(told(&project, &["metrics"]), table);
    assert_eq!(told(&project, &["metrics", "logistic.yaml", "--sort", "eval rank-5"]), table);
    assert_eq!(told(&project, &["metrics", "first", "last~1"]), table);
    let chosen = |arguments: &[&str]| project.packtrain(&[&["metrics", "--columns", "c,rank-1"], arguments].concat()).stdout;
    let markdown = "\
| c     | eval rank-1 |
| ----- | ----------- |
| 0.001 | 67.50 %     |
| 1.0   | 62.50 %     |
";
    assert_eq!(chosen(&["--sort", "rank-1", "--format", "markdown"]), markdown);
    assert_eq!(chosen(&["--sort", "rank-1", "--ascending", "--format", "csv"]), "c,eval rank-1\n1.0,0.625\n0.001,0.675\n");
    assert_eq!(chosen(&["--filter", "c<0.5", "--format", "csv"]), "c,eval rank-1\n0.001,0.675\n");
    assert_eq!(chosen(&["--filter", "rank-1<65%", "--format", "csv"]), "c,eval rank-1\n1.0,0.625\n");
    assert_eq!(chosen(&["--filter", "tag=weak", "--filter", "c=1"]), "no runs\n");
    let json: Value = serde_json::from_str(&chosen(&["--format", "json"])).unwrap();
    assert_eq!(json, json!([{ "c": 1.0, "eval rank-1": 0.625 }, { "c": 0.001, "eval rank-1": 0.675 }]));
    let unknown = refused(&project, &["metrics", "--sort", "rank1"]);
    assert_eq!(unknown, "error: there is no parameter or metric `rank1`; did you mean `rank-1`?\n");
}

#[test]
fn values_that_are_written_in_a_stage_are_told_apart_too_and_variants_have_a_row_each() {
    let project = project();
    project.run(&["logistic.yaml"]);
    project.edit("logistic.yaml", "folds: 3", "folds: 4");
    project.edit("logistic.yaml", "stages:", "matrix: { c: [0.01, 10] }\nstages:");
    project.run(&["logistic.yaml"]);
    let expected = "\
run  c  train.model.logistic-regression.folds  train C  eval rank-1  eval rank-5
ID  0.01  4  0.01  67.50 %  100.00 %
ID  10  4  10  52.50 %  100.00 %
ID  1.0  3  1  62.50 %  100.00 %
";
    assert_eq!(told(&project, &["metrics"]), expected);
    let best = told(&project, &["history", "--limit", "1"]);
    assert!(best.contains("  4 of 4 ran  T  eval rank-1 67.50 % (the best of 2 variants)\n"), "{best}");
}

#[test]
fn the_difference_of_two_runs_is_told_part_by_part() {
    let project = project();
    project.run(&["logistic.yaml", "--name", "first"]);
    project.edit("logistic.yaml", "c: 1.0", "c: 0.001");
    project.run(&["logistic.yaml"]);
    let expected = "\
old  ID  first  logistic  WHEN
new  ID  logistic  WHEN

parameters
  c  1.0 → 0.001

stages
  train  model.logistic-regression.c [1.0] → [0.001] (logistic.yaml:10:9)
  eval  input `model` has other content

metrics
  train C  1 → 0.001  -0.999
  eval rank-1  62.50 % → 67.50 %  +5.00 points, better
  eval rank-5  100.00 %  the same

times
  train  T → T
  eval  T → T
";
    assert_eq!(told(&project, &["diff", "first", "last"]), expected);
    assert_eq!(told(&project, &["diff", "last"]), expected);
    let back: Value = serde_json::from_str(&project.packtrain(&["diff", "last", "first", "--json"]).stdout).unwrap();
    assert_eq!(back["params"], json!([{ "what": "c", "old": 0.001, "new": 1.0 }]));
    assert_eq!(back["metrics"][1], json!({ "stage": "eval", "metric": "rank-1", "old": 0.675, "new": 0.625, "better": false }));
    assert_eq!((&back["old"]["name"], &back["new"]["name"]), (&Value::Null, &json!("first")));
    let first = refused(&project, &["diff", "first"]);
    assert!(first.ends_with("is the first run of logistic; name the run to compare it with\n"), "{first}");
    project.run(&["logistic.yaml"]);
    assert!(told(&project, &["diff", "last"]).contains("\nstages\n  all  the same results\n"));
}

#[test]
fn images_that_came_or_changed_are_counted_and_stages_of_one_run_alone_named() {
    let project = Project::with_images(4);
    let manifest = "stages:\n  pack: { kind: pack, images: images, size: 16 }\n  mean: { kind: compute-mean, images: pack.train }\n";
    project.write("m.yaml", manifest);
    project.run(&["m.yaml"]);
    let images = crate::harness::sorted(&project.path("images/circle"));
    fs::copy(&images[0], project.path("images/circle/more.jpg")).unwrap();
    fs::copy(&images[1], &images[2]).unwrap();
    project.edit("m.yaml", "mean:", "average:");
    project.run(&["m.yaml"]);
    let diff = told(&project, &["diff", "last~1", "last"]);
    let expected = "
stages
  pack  input `images`: 1 image added, 1 image changed
  mean  only in the old run
  average  only in the new run
";
    assert!(diff.contains(expected), "{diff}");
}

#[test]
fn a_stage_s_result_is_shown_as_people_read_it() {
    let project = project();
    project.run(&["logistic.yaml"]);
    let expected = "\
eval.evaluation (evaluation.json): 40 rows

  value
rank-1  62.50 %
rank-5  100.00 %
loss  0.7418

class  precision  recall  F1  rows
ant  100.00 %  50.00 %  66.67 %  14
bee  41.67 %  38.46 %  40.00 %  13
cow  61.90 %  100.00 %  76.47 %  13

is \\ taken for  ant  bee  cow
ant  7  7  .
bee  .  5  8
cow  .  .  13
";
    assert_eq!(told(&project, &["show", "eval"]), expected);
    let shown = |arguments: &[&str]| told(&project, &[&["show"], arguments].concat());
    assert_eq!(shown(&["eval.evaluation", "--run", "last", "-f", "logistic.yaml"]), expected);
    let file = shown(&["output/logistic/eval/evaluation.json"]);
    assert_eq!(file, expected.trim_start_matches("eval.evaluation (evaluation.json): "));
    let model = "\
train.model (model.safetensors): a model
architecture  {\"logistic-regression\":{\"c\":[1.0],\"folds\":3,\"max-iterations\":100,\"tolerance\":0.0001}}
classes  3: ant, bee, cow
parameters  15 in 2 tensors
";
    assert_eq!(shown(&["train"]), model);
    assert_eq!(shown(&["test.h5"]), "40 rows of features: [40, 4]\nclass  rows\nant  14\nbee  13\ncow  13\n");
    let json: Value = serde_json::from_str(&project.packtrain(&["show", "eval", "--json"]).stdout).unwrap();
    assert_eq!((&json[0]["output"], &json[0]["content"]["rank1"]), (&json!("eval.evaluation"), &json!(0.625)));
    let unknown = refused(&project, &["show", "evl"]);
    assert!(unknown.ends_with(" of logistic has no stage `evl`, and there is no file of that name; did you mean `eval`?\n"), "{unknown}");
    assert!(refused(&project, &["show", "logistic.yaml"]).starts_with("error: logistic.yaml has nothing that can be shown: "));
}

/// The epochs of a training; what they measured is told by `scale`.
fn epochs(numbers: std::ops::RangeInclusive<u32>, scale: f64) -> Vec<EpochMetrics> {
    let epoch = |epoch| EpochMetrics {
        epoch,
        epochs: 4,
        learning_rate: 0.01,
        train_loss: 1.0 / f64::from(epoch),
        train_accuracy: 0.5,
        val_loss: Some(2.0 / f64::from(epoch)),
        val_accuracy: Some(scale * f64::from(epoch)),
        images_per_second: 100.0,
        finished: None,
    };
    numbers.map(epoch).collect()
}

/// Writes what a run of one training leaves: with `history`, one that ended well; without, one that was stopped after `trained`.
fn record_training(project: &Project, number: u32, trained: &[EpochMetrics], history: Option<&[EpochMetrics]>) {
    let cache = Cache::open(&project.path(".packtrain")).unwrap();
    let stage = StagePath { variant: None, stage: "train".parse().unwrap() };
    let provenance = RunProvenance {
        pipeline: "net".to_owned(),
        params: BTreeMap::from([("lr".to_owned(), json!(f64::from(number) / 100.0))]),
        started: format!("2026-01-0{number}T00:00:00Z"),
        ..RunProvenance::default()
    };
    let mut record = RunRecord::new(format!("2026010{number}T000000-1"), provenance);
    let listed = vec![ListedStage { stage: stage.clone(), kind: "train".to_owned(), needs: Vec::new() }];
    let command = vec!["packtrain".to_owned(), "run".to_owned(), "net.yaml".to_owned()];
    record.apply(&RunEvent::RunStarted { run: record.id.clone(), pipeline: "net".to_owned(), command, stages: listed });
    let key = Fingerprint { kind: "train".to_owned(), version: 1, parameters: json!(number), inputs: BTreeMap::new(), seed: None }.key();
    record.apply(&RunEvent::StageStarted { stage: stage.clone(), key, changes: Vec::new() });
    for epoch in trained {
        record.apply(&RunEvent::Stage { stage: stage.clone(), said: StageEvent::Epoch(epoch.clone()) });
    }
    let outcome = match history {
        Some(history) => {
            let key = publish_history(&cache, number, history);
            let (metrics, files, unstable_inputs) = (Vec::new(), Vec::new(), Vec::new());
            record.apply(&RunEvent::StageFinished(StageResult {
                stage,
                key,
                seconds: 1.0,
                metrics,
                output: StageOutput::default(),
                files,
                from_remote: None,
                unstable_inputs,
            }));
            RunOutcome::Succeeded
        }
        None => {
            record.apply(&RunEvent::StageFailed { stage, error: "interrupted".to_owned(), training: None });
            RunOutcome::Interrupted
        }
    };
    record.apply(&RunEvent::RunFinished { outcome, seconds: 1.0 });
    record.write(&cache.runs()).unwrap();
}

fn publish_history(cache: &Cache, number: u32, epochs: &[EpochMetrics]) -> packtrain::key::ActionKey {
    let history = History { epochs: epochs.iter().map(HistoryEpoch::from).collect() };
    let bytes = serde_json::to_vec(&history).unwrap();
    let digest = store(cache, &bytes);
    let outputs = BTreeMap::from([("history".to_owned(), StoredFile { file: "history.json".into(), digest, size: bytes.len() as u64 })]);
    let parameters = json!({ "optimizer": { "sgd": { "lr": f64::from(number) / 100.0 } } });
    let fingerprint = Fingerprint { kind: "train".into(), version: 1, parameters, inputs: BTreeMap::new(), seed: Some(0) };
    let provenance = Provenance {
        tool: "0.1.0".into(),
        pipeline: "net".into(),
        stage: "train".parse().unwrap(),
        finished: "2026-01-01T00:00:00Z".into(),
        seconds: 1.0,
        effort: None,
    };
    cache.publish(&ActionRecord::new(fingerprint.clone(), outputs, provenance)).unwrap();
    fingerprint.key()
}

#[test]
fn trainings_are_compared_at_an_epoch_that_all_of_them_have() {
    let project = Project::new();
    // This one went on from the second epoch of an earlier training.
    record_training(&project, 1, &epochs(3..=4, 0.125), Some(&epochs(1..=4, 0.125)));
    record_training(&project, 2, &epochs(1..=2, 0.25), None);
    let metrics =
        |arguments: &[&str]| told(&project, &[&["metrics", "--columns", "lr,outcome,epochs,val-accuracy,val-loss"], arguments].concat());
    let last = "\
lr  outcome  train epochs  train val-accuracy  train val-loss
0.02  interrupted  2  50.00 %  1.0000
0.01  succeeded  4  50.00 %  0.5000
";
    assert_eq!(metrics(&[]), last);
    let second = "\
lr  outcome  train epochs  train val-accuracy  train val-loss
0.02  interrupted  2  50.00 %  1.0000
0.01  succeeded  2  25.00 %  1.0000
";
    assert_eq!(metrics(&["--equal-epochs"]), second);
    assert_eq!(metrics(&["--at-epoch", "2", "--sort", "val-accuracy"]), second);
    let third = metrics(&["--at-epoch", "3"]);
    assert!(third.contains("\n0.02  interrupted\n0.01  succeeded  3  37.50 %  0.6667\n"), "{third}");
    let all = told(&project, &["metrics"]);
    assert!(all.starts_with("run  outcome  lr  train epochs  train val-accuracy  train val-loss  train train-accuracy  "), "{all}");
    let shown = told(&project, &["show", "train", "--run", "last~1"]);
    let expected = "\
train.history (history.json): 4 epochs

epoch  rate  loss  accuracy  val loss  val accuracy
1  1e-2  1.0000  50.00 %  2.0000  12.50 %
2  1e-2  0.5000  50.00 %  1.0000  25.00 %
3  1e-2  0.3333  50.00 %  0.6667  37.50 %
4  1e-2  0.2500  50.00 %  0.5000  50.00 %  best

";
    assert!(shown.starts_with(expected), "{shown}");
    assert_eq!(refused(&project, &["show", "train"]), "error: train gave no result in that run\n");
}
