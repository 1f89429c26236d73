//! A pipeline with networks, through both programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{self, Pid, Signal};

use crate::harness::{Project, sorted};

/// The stages of `pipelines/demo.yaml` on few images.
fn project(each: usize) -> Project {
    let project = Project::with_images(each);
    let demo = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml")).unwrap();
    project.write("demo.yaml", &demo);
    project
}

const SMALL: [&str; 5] = ["demo.yaml", "-p", "images=images", "-p", "epochs=1"];

const FILES: [&str; 12] = [
    "pack/train.h5",
    "train/model.safetensors",
    "train/history.json",
    "train/history.csv",
    "train/curves.svg",
    "ten-crop/evaluation.json",
    "ten-crop/predictions.csv",
    "ten-crop/confusion.svg",
    "features/train.h5",
    "features/test.h5",
    "classifier/model.safetensors",
    "eval/evaluation.json",
];

fn results(project: &Project) -> Vec<Vec<u8>> {
    FILES.iter().map(|file| project.read(&format!("output/demo/{file}"))).collect()
}

#[test]
fn a_changed_learning_rate_reruns_training_and_what_follows() {
    let project = project(12);
    assert_eq!(project.run(&SMALL), "pack ran\nmean ran\ntrain ran\nten-crop ran\nfeatures ran\nclassifier ran\neval ran\n");
    let plan = project.packtrain(&[&["plan"], &SMALL[..], &["-p", "lr=0.02"]].concat()).stdout;
    assert!(plan.contains("optimizer.sgd.lr 0.01 → 0.02"), "{plan}");
    assert_eq!(
        project.run(&[&SMALL[..], &["-p", "lr=0.02"]].concat()),
        "pack reused\nmean reused\ntrain ran\nten-crop ran\nfeatures ran\nclassifier ran\neval ran\n"
    );
    let reused = "pack reused\nmean reused\ntrain reused\nten-crop reused\nfeatures reused\nclassifier reused\neval reused\n";
    assert_eq!(project.run(&SMALL), reused);
    let evaluation: serde_json::Value = serde_json::from_slice(&project.read("output/demo/ten-crop/evaluation.json")).unwrap();
    assert!(evaluation["baseline"]["rank1"].is_f64() && evaluation["crops"]["rank5"].is_f64(), "{evaluation}");
}

#[test]
fn stages_with_networks_that_are_checked_begin_at_the_beginning_and_are_bit_exact_on_the_cpu() {
    let project = project(8);
    let options = [&SMALL[1..], &["--device", "cpu"]].concat();
    project.run(&[&["demo.yaml"], &options[..]].concat());
    for stage in ["train", "ten-crop", "features"] {
        let output = project.packtrain(&[&["check", "demo.yaml", stage], &options[..]].concat());
        assert_eq!((output.code, output.stdout), (0, format!("{stage} is bit-exact, on cpu\n")), "{}", output.stderr);
        assert_eq!(output.stderr.contains("train  epoch 1/1  "), stage == "train", "{}", output.stderr);
    }
    project.packtrain(&[&["lock"], &SMALL[..]].concat());
    let lock = String::from_utf8(project.read("demo.lock")).unwrap();
    assert!(lock.contains("\ntrain device cpu\n") && lock.contains("\nclassifier kind train "), "{lock}");
    assert!(project.run(&[&SMALL[..], &["--locked"]].concat()).contains("train reused\n"));
    let other = lock.lines().map(|line| match line {
        "train device cpu" => "train device cuda:0\n".to_owned(),
        line if line.starts_with("train output model ") => format!("train output model {} 9 bytes\n", "0".repeat(64)),
        line => format!("{line}\n"),
    });
    project.write("demo.lock", &other.collect::<String>());
    let output = project.packtrain(&[&["run"], &SMALL[..], &["--locked", "--until", "train"]].concat());
    let told = "the locked one was made on cuda:0, this one on cpu, and other devices give other bits: `--device` picks one\n";
    assert!(output.code == 1 && output.stderr.contains(told), "{}", output.stderr);
}

#[test]
fn learning_rates_are_compared_in_one_run_that_packs_once() {
    let project = project(8);
    project.edit("demo.yaml", "\nstages:\n", "\nmatrix: { lr: [0.01, 0.02] }\nstages:\n");
    let output = project.packtrain(&[&["run"], &SMALL[..]].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    let stages = output.stages();
    assert!(stages.contains("lr=0.01/pack ran\nlr=0.01/mean ran\nlr=0.01/train ran\n"), "{stages}");
    assert!(stages.contains("lr=0.02/pack reused\nlr=0.02/mean reused\nlr=0.02/train ran\n"), "{stages}");
    let comparison: Vec<&str> = output.stdout.lines().skip_while(|line| !line.starts_with("variant ")).collect();
    assert!(comparison[0].contains("  ten-crop ") && comparison[0].contains("  eval "), "{comparison:?}");
    assert!(comparison[1].starts_with("lr=0.01  ") && comparison[2].starts_with("lr=0.02  "), "{comparison:?}");
    let weights = |variant: &str| project.read(&format!("output/demo/{variant}/train/model.safetensors"));
    assert_ne!(weights("lr=0.01"), weights("lr=0.02"));
}

#[test]
fn a_second_machine_gets_the_same_bytes() {
    let (one, two) = (project(8), project(8));
    one.run(&SMALL);
    two.run(&SMALL);
    for ((one, two), file) in results(&one).iter().zip(results(&two)).zip(FILES) {
        assert_eq!(*one, two, "{file}");
    }
}

/// So long that it is killed before its end.
const LONG: [&str; 5] = ["demo.yaml", "-p", "images=images", "-p", "epochs=200"];

const IN_TRAINING: &str = "\"activity\":\"epoch 1/200\"";

#[test]
fn a_killed_worker_fails_its_stage_alone_and_the_next_run_finishes() {
    let project = project(40);
    let mut coordinator = project.run_until(&LONG, IN_TRAINING);
    process::kill_process(worker_of(&coordinator), Signal::KILL).unwrap();
    assert_eq!(coordinator.wait().unwrap().code(), Some(1));
    let last = sorted(&project.path(".packtrain/runs")).pop().unwrap();
    let record = fs::read_to_string(last).unwrap();
    assert!(record.contains("the worker died (killed by signal 9"), "{record}");
    let stages = project.run(&SMALL);
    assert!(stages.starts_with("pack reused\nmean reused\ntrain ran\n"), "{stages}");
}

#[test]
fn a_killed_coordinator_takes_its_worker_along_and_the_next_run_finishes() {
    let project = project(40);
    let mut coordinator = project.run_until(&LONG, IN_TRAINING);
    let worker = worker_of(&coordinator);
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive(worker) {
        assert!(Instant::now() < deadline, "the worker lives on");
        std::thread::sleep(Duration::from_millis(20));
    }
    project.run(&SMALL);
    assert_eq!(sorted(&project.path(".packtrain/work")), [] as [PathBuf; 0]);
}

#[test]
fn an_interrupted_run_stops_its_worker_and_exits_with_130() {
    let project = project(40);
    let mut coordinator = project.run_until(&LONG, IN_TRAINING);
    let worker = worker_of(&coordinator);
    process::kill_process(Pid::from_child(&coordinator), Signal::INT).unwrap();
    assert_eq!(coordinator.wait().unwrap().code(), Some(130));
    assert!(!is_alive(worker));
}

fn worker_of(coordinator: &Child) -> Pid {
    let id = coordinator.id();
    let children = fs::read_dir(format!("/proc/{id}/task")).unwrap().filter_map(|task| {
        let children = fs::read_to_string(task.unwrap().path().join("children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    });
    Pid::from_raw(children.into_iter().next().expect("a running worker")).unwrap()
}

/// An orphan that has ended may wait as a zombie for whoever adopted it.
fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|fields| !fields.is_empty() && !fields.starts_with('Z'))
}
