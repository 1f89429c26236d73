//! Stages that do not need each other, at the same time; time limits and further tries.

use std::thread::available_parallelism;

use serde_json::Value;

use crate::harness::{Output, Project};

const PIPELINE: &str = "
name: small
matrix: { lr: [0.01, 0.02] }
params: { lr: 0.01, epochs: 2 }
stages:
  pack: { kind: pack, images: images, size: 20 }
  train:
    kind: train
    train: pack.train
    model: mini-googlenet
    input: { size: 16, scale: 0.0078125 }
    optimizer: { sgd: { lr: \"${lr}\" } }
    batch: 16
    epochs: ${epochs}
    needs: { cpus: 1 }
";

fn project() -> Project {
    let project = Project::with_images(8);
    project.write("small.yaml", PIPELINE);
    project
}

/// The names of the events of stages with the stages, in order.
fn events(output: &Output) -> Vec<String> {
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let (name, variant) = (event["event"].as_str().unwrap(), event["variant"].as_str().unwrap_or_default());
        event["stage"].as_str().map(|stage| format!("{name} {variant} {stage}"))
    };
    output.stdout.lines().filter_map(event).collect()
}

fn place(events: &[String], event: &str) -> usize {
    events.iter().position(|other| other == event).unwrap_or_else(|| panic!("no {event} in {events:#?}"))
}

#[test]
fn variants_train_at_the_same_time_where_there_is_room_and_pack_once() {
    let project = project();
    let output = project.packtrain(&["run", "small.yaml", "--json"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let events = events(&output);
    assert_eq!(events.iter().filter(|event| event.starts_with("stage-started") && event.ends_with("pack")).count(), 1);
    let both_started = place(&events, "stage-started lr=0.02 train");
    let one_finished = place(&events, "stage-finished lr=0.01 train").min(place(&events, "stage-finished lr=0.02 train"));
    assert_eq!(both_started < one_finished, available_parallelism().unwrap().get() > 1, "{events:#?}");
    assert!(project.path("output/small/lr=0.02/train/model.safetensors").exists());
}

#[test]
fn with_one_job_one_stage_runs_after_the_other() {
    let project = project();
    let output = project.packtrain(&["run", "small.yaml", "--json", "--jobs", "1"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let events = events(&output);
    assert!(place(&events, "stage-finished lr=0.01 train") < place(&events, "stage-started lr=0.02 train"), "{events:#?}");
}

#[test]
fn trainings_that_begin_alike_do_not_run_at_the_same_time_but_share_their_first_epochs() {
    let project = project();
    project.edit("small.yaml", "matrix: { lr: [0.01, 0.02] }", "matrix: { epochs: [2, 3] }");
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stderr.contains("epochs=3/train  going on after epoch 2 of 3"), "{}", output.stderr);
}

#[test]
fn a_stage_that_the_machine_is_too_small_for_does_not_start() {
    let project = project();
    project.edit("small.yaml", "needs: { cpus: 1 }", "needs: { memory: 1000 TiB }");
    let output = project.packtrain(&["run", "small.yaml", "--variant", "lr=0.01"]);
    assert_eq!((output.code, output.stages().as_str()), (1, "lr=0.01/pack ran\nlr=0.01/train failed\n"));
    assert!(output.stderr.contains("it needs 1000 TiB of memory, but this machine has "), "{}", output.stderr);
}

#[test]
fn a_stage_that_takes_too_long_is_stopped_tried_again_and_fails() {
    let project = project();
    project.edit("small.yaml", "needs: { cpus: 1 }", "timeout: 0.5 s\n    retries: 1");
    let output = project.packtrain(&["run", "small.yaml", "--variant", "lr=0.01", "-p", "epochs=1000"]);
    assert_eq!((output.code, output.stages().as_str()), (1, "lr=0.01/pack ran\nlr=0.01/train failed\n"));
    let warning = "lr=0.01/train  warning: it took longer than its `timeout` allows; trying again (1 of 1)";
    assert!(output.stderr.contains(warning), "{}", output.stderr);
}

#[test]
fn how_a_stage_is_run_does_not_change_what_it_gives() {
    let project = project();
    project.run(&["small.yaml", "--variant", "lr=0.01"]);
    project.edit("small.yaml", "needs: { cpus: 1 }", "needs: { memory: 1 GiB }\n    retries: 3\n    timeout: 1 h");
    assert_eq!(project.run(&["small.yaml", "--variant", "lr=0.01"]), "lr=0.01/pack reused\nlr=0.01/train reused\n");
}

#[test]
fn a_time_without_a_unit_is_an_error_at_its_place() {
    let project = project();
    project.edit("small.yaml", "needs: { cpus: 1 }", "timeout: 90 seconds");
    let output = project.packtrain(&["validate", "small.yaml"]);
    assert_eq!(output.code, 3);
    insta::assert_snapshot!(output.stderr, @r"
    error: `timeout` cannot be `90 seconds`
      --> small.yaml:15:14
       |
    15 |     timeout: 90 seconds
       |              ^^^^^^^^^^
       |
       = help: How long one try may take: `90 s`, `30 min`, `12 h`, `2 d`. A training that is stopped by it goes on where it was when it is tried again.
    ");
    project.edit("small.yaml", "90 seconds", "99999999999999999999 d");
    let error = project.packtrain(&["validate", "small.yaml"]).stderr;
    assert!(error.contains("the stage `train`: `99999999999999999999 d` is not a time; write it like"), "{error}");
}
