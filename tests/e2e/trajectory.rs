//! Training is cached along its trajectory: what was trained once is not trained again, and gives the same bits.

use std::path::PathBuf;
use std::process::Child;

use rustix::process::{self, Pid, Signal};

use crate::harness::{Project, sorted};

/// A small training; the test writes its epochs and schedule.
fn project(training: &str) -> Project {
    let project = Project::with_images(8);
    project.write("small.yaml", &manifest("small", training));
    project
}

fn manifest(name: &str, training: &str) -> String {
    format!(
        "name: {name}
seed: 3
stages:
  pack: {{ kind: pack, images: images, size: 20, split: {{ val: 0.2 }} }}
  train:
    kind: train
    train: pack.train
    val: pack.val
    model: mini-googlenet
    input: {{ size: 16, scale: 0.0078125 }}
    augment: {{ horizontal-flip: true }}
    optimizer: {{ sgd: {{ lr: 0.01, momentum: 0.9 }} }}
    batch: 16
{training}"
    )
}

const MODEL: &str = "output/small/train/model.safetensors";
const HISTORY: &str = "output/small/train/history.json";

/// The bytes of the model and of the history.
fn result(project: &Project) -> (Vec<u8>, Vec<u8>) {
    (project.read(MODEL), project.read(HISTORY))
}

/// Runs, and returns after which epoch the training went on; 0 if it began anew.
fn trained_from(project: &Project, manifest: &str) -> u32 {
    let output = project.packtrain(&["run", manifest]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stages().contains("train ran"), "{}", output.stages());
    let note = output.stderr.lines().find_map(|line| line.strip_prefix("train  going on after epoch "));
    note.map_or(0, |rest| rest.split(' ').next().unwrap().parse().unwrap())
}

fn explain(project: &Project) -> String {
    project.packtrain(&["explain", "small.yaml", "train"]).stdout
}

#[test]
fn more_epochs_go_on_from_those_that_are_there() {
    let whole = project("    epochs: 6\n");
    assert_eq!(trained_from(&whole, "small.yaml"), 0);
    let parts = project("    epochs: 3\n");
    assert_eq!(trained_from(&parts, "small.yaml"), 0);
    parts.edit("small.yaml", "epochs: 3", "epochs: 6");
    let explained = explain(&parts);
    assert!(explained.contains("  - epochs 3 → 6 (small.yaml:14:13)\n  training goes on after epoch 3 of 6\n"), "{explained}");
    assert_eq!(trained_from(&parts, "small.yaml"), 3);
    assert_eq!(result(&parts), result(&whole));
}

#[test]
fn fewer_epochs_reuse_a_state_that_was_kept() {
    let project = project("    epochs: 6\n    checkpoints: { every: 2 }\n");
    trained_from(&project, "small.yaml");
    let whole = result(&project);
    project.edit("small.yaml", "epochs: 6", "epochs: 4");
    assert_eq!(trained_from(&project, "small.yaml"), 4);
    project.edit("small.yaml", "epochs: 4", "epochs: 6");
    assert_eq!(project.run(&["small.yaml"]), "pack reused\ntrain reused\n");
    assert_eq!(result(&project), whole);
}

#[test]
fn a_training_killed_at_any_moment_goes_on_and_gives_the_same_bits() {
    let whole = project("    epochs: 6\n    checkpoints: { every: 2 }\n");
    trained_from(&whole, "small.yaml");
    for (epoch, resumed) in [(1, 0), (3, 2), (5, 4)] {
        let project = project("    epochs: 6\n    checkpoints: { every: 2 }\n");
        let mut coordinator = project.run_until(&["small.yaml"], &format!("\"event\":\"epoch\",\"epoch\":{epoch},"));
        coordinator.kill().unwrap();
        coordinator.wait().unwrap();
        let from = trained_from(&project, "small.yaml");
        assert!(from >= resumed, "killed after epoch {epoch}, went on after {from}");
        assert_eq!(result(&project), result(&whole), "killed after epoch {epoch}");
    }
}

#[test]
fn ctrl_c_keeps_the_last_whole_epoch() {
    let whole = project("    epochs: 6\n");
    trained_from(&whole, "small.yaml");
    let project = project("    epochs: 6\n");
    let mut coordinator = project.run_until(&["small.yaml"], "\"event\":\"epoch\",\"epoch\":2,");
    interrupt(&coordinator);
    assert_eq!(coordinator.wait().unwrap().code(), Some(130));
    assert!(trained_from(&project, "small.yaml") >= 2);
    assert_eq!(result(&project), result(&whole));
}

#[test]
fn an_interrupted_training_says_after_which_epoch_it_will_go_on() {
    let project = project("    epochs: 60\n");
    let mut run = project.listen(&["run", "small.yaml"]);
    run.hear("epoch 2/60");
    run.interrupt();
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    let told =
        said.lines().find_map(|line| line.strip_prefix("kept: pack; train goes on after epoch ")).unwrap_or_else(|| panic!("{said}"));
    let epoch: u32 = told.strip_suffix(" of 60").unwrap().parse().unwrap();
    assert!(epoch >= 2, "{said}");
    project.edit("small.yaml", "epochs: 60", &format!("epochs: {}", epoch + 1));
    assert_eq!(trained_from(&project, "small.yaml"), epoch);
}

#[test]
fn a_training_that_takes_too_long_says_where_the_next_run_starts_it() {
    let project = project("    epochs: 1000\n    timeout: 1 s\n    checkpoints: { every: 1 }\n");
    let output = project.packtrain(&["run", "small.yaml", "--json"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let event = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let failed = output.stdout.lines().map(event).find(|event| event["event"] == "stage-failed").unwrap();
    let explained = explain(&project);
    let after = failed["training"]["after-epoch"].as_u64().unwrap();
    let expected =
        if after == 0 { "training starts at the beginning".to_owned() } else { format!("training goes on after epoch {after} of 1000") };
    assert!(explained.contains(&expected), "{failed} {explained}");
}

/// Trains six epochs in one go, three and then six, killed, and interrupted; all must give the same. Returns the history.
fn trains_alike_however_it_is_cut(training: &str) -> serde_json::Value {
    let begin = |epochs: u32| {
        let project = project(&format!("{training}    epochs: {epochs}\n    checkpoints: {{ every: 1 }}\n"));
        if let Some(augment) = training.lines().find(|line| line.starts_with("    augment: ")) {
            project.edit("small.yaml", &format!("{augment}\n"), "").edit("small.yaml", "    augment: { horizontal-flip: true }", augment);
        }
        project
    };
    let whole = begin(6);
    assert_eq!(trained_from(&whole, "small.yaml"), 0);

    let parts = begin(3);
    trained_from(&parts, "small.yaml");
    parts.edit("small.yaml", "epochs: 3", "epochs: 6");
    assert_eq!(trained_from(&parts, "small.yaml"), 3);
    assert_eq!(result(&parts), result(&whole), "three epochs, then six");

    let killed = begin(6);
    let mut coordinator = killed.run_until(&["small.yaml"], "\"event\":\"epoch\",\"epoch\":2,");
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    assert!(trained_from(&killed, "small.yaml") >= 1);
    assert_eq!(result(&killed), result(&whole), "killed");

    let interrupted = begin(6);
    let mut coordinator = interrupted.run_until(&["small.yaml"], "\"event\":\"epoch\",\"epoch\":2,");
    interrupt(&coordinator);
    assert_eq!(coordinator.wait().unwrap().code(), Some(130));
    assert!(trained_from(&interrupted, "small.yaml") >= 2);
    assert_eq!(result(&interrupted), result(&whole), "interrupted");
    serde_json::from_slice(&whole.read(HISTORY)).unwrap()
}

#[test]
fn the_best_epoch_and_early_stopping_count_across_a_cut() {
    let training = "    keep: { best: { metric: val-accuracy } }\n    early-stopping: { metric: val-accuracy, patience: 2 }\n";
    let history = trains_alike_however_it_is_cut(training);
    let epochs = history["epochs"].as_array().unwrap().len();
    assert!((3..6).contains(&epochs), "it stopped early, and not at once: {epochs} epochs");
}

#[test]
fn augmentation_goes_on_across_a_cut() {
    trains_alike_however_it_is_cut(
        "    augment: { rotation: 20, zoom: 0.15, shift: 0.2, shear: 0.15, horizontal-flip: true }\n    keep: best\n",
    );
}

#[test]
fn sixteen_bit_training_goes_on_across_a_cut() {
    let whole = project("    precision: bf16\n    epochs: 2\n");
    trained_from(&whole, "small.yaml");
    let parts = project("    precision: bf16\n    epochs: 1\n");
    trained_from(&parts, "small.yaml");
    parts.edit("small.yaml", "epochs: 1", "epochs: 2");
    assert_eq!(trained_from(&parts, "small.yaml"), 1);
    assert_eq!(result(&parts), result(&whole));
}

fn interrupt(coordinator: &Child) {
    process::kill_process(Pid::from_child(coordinator), Signal::INT).unwrap();
}

const TWO_PHASES: &str = "    schedule: { phases: [{ epochs: 2, lr: 0.01 }, { epochs: 2, lr: 0.001 }] }\n";

#[test]
fn a_new_phase_reuses_all_before_it_and_an_edited_one_restarts_at_its_beginning() {
    let project = project("    schedule: { phases: [{ epochs: 2, lr: 0.01 }] }\n");
    assert_eq!(trained_from(&project, "small.yaml"), 0);
    project.write("small.yaml", &manifest("small", TWO_PHASES));
    assert_eq!(trained_from(&project, "small.yaml"), 2);
    project.edit("small.yaml", "lr: 0.001", "lr: 0.002");
    let explained = explain(&project);
    let expected = "  training goes on after epoch 2 of 4; the learning rate changes from epoch 3 on: 0.001 → 0.002\n";
    assert!(explained.contains(expected), "{explained}");
    assert_eq!(trained_from(&project, "small.yaml"), 2);
    let whole = self::project(&TWO_PHASES.replace("0.001", "0.002"));
    trained_from(&whole, "small.yaml");
    assert_eq!(result(&project), result(&whole));
}

#[test]
fn two_experiments_that_share_their_first_phase_train_it_once() {
    let project = project(TWO_PHASES);
    trained_from(&project, "small.yaml");
    project.write("other.yaml", &manifest("other", &TWO_PHASES.replace("0.001", "0.005")));
    assert_eq!(trained_from(&project, "other.yaml"), 2);
}

#[test]
fn more_epochs_under_polynomial_decay_start_over_and_say_why() {
    let training = "    epochs: 2\n    schedule: { polynomial: { power: 1.0 } }\n";
    let project = project(training);
    trained_from(&project, "small.yaml");
    project.edit("small.yaml", "epochs: 2", "epochs: 4");
    let explained = explain(&project);
    let expected = "  training starts at the beginning; the learning rate changes from epoch 2 on: 0.005 → 0.0075\n";
    assert!(explained.contains(expected), "{explained}");
    assert_eq!(trained_from(&project, "small.yaml"), 0);
}

#[test]
fn what_counts_in_every_epoch_starts_the_training_over() {
    let project = project("    epochs: 2\n");
    trained_from(&project, "small.yaml");
    project.edit("small.yaml", "momentum: 0.9", "momentum: 0.8");
    assert_eq!(trained_from(&project, "small.yaml"), 0);
}

#[test]
fn which_states_are_kept_is_bounded_and_changes_no_result() {
    let project = project("    epochs: 8\n    checkpoints: { every: 1, keep: 2 }\n");
    trained_from(&project, "small.yaml");
    let kept: Vec<PathBuf> = sorted(&project.path(".packtrain/checkpoints"));
    assert_eq!(kept.len(), 3, "two of the last and the end: {kept:?}");
    project.edit("small.yaml", "every: 1, keep: 2", "every: 3");
    assert_eq!(project.run(&["small.yaml"]), "pack reused\ntrain reused\n");
}

fn collect(project: &Project, more: &[&str]) {
    let output = project.packtrain(&[&["cache", "gc", "--older-than", "0d"], more].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// The first run of a pipeline: nothing but the run itself says that it needs its images and its states.
#[test]
fn a_collection_beside_a_training_takes_nothing_from_it() {
    let training = "    epochs: 12\n    checkpoints: { every: 2, keep: 9 }\n";
    let whole = project(training);
    trained_from(&whole, "small.yaml");
    let project = project(training);
    let mut coordinator = project.run_until(&["small.yaml"], "\"event\":\"epoch\",\"epoch\":5,");
    collect(&project, &["--checkpoints", "none"]);
    assert!(coordinator.try_wait().unwrap().is_none(), "the collection came too late to show anything");
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.stages(), "pack reused\ntrain ran\n", "{}", output.stderr);
    assert!(!output.stderr.contains("train  going on after epoch 0"), "{}", output.stderr);
    assert!(output.stderr.contains("train  going on after epoch "), "{}", output.stderr);
    assert_eq!(result(&project), result(&whole));
}

#[test]
fn after_a_collection_a_training_goes_on_from_the_states_that_were_to_be_kept() {
    let project = project("    epochs: 4\n    checkpoints: { every: 1, keep: 9 }\n");
    trained_from(&project, "small.yaml");
    collect(&project, &[]);
    project.edit("small.yaml", "epochs: 4", "epochs: 3");
    assert_eq!(trained_from(&project, "small.yaml"), 3, "all states of the latest training were kept");
    project.edit("small.yaml", "epochs: 3", "epochs: 4");
    project.run(&["small.yaml"]);
    collect(&project, &["--checkpoints", "last"]);
    project.edit("small.yaml", "epochs: 4", "epochs: 5");
    assert_eq!(trained_from(&project, "small.yaml"), 4);
    collect(&project, &["--checkpoints", "none"]);
    assert_eq!(project.run(&["small.yaml"]), "pack reused\ntrain reused\n");
    project.edit("small.yaml", "epochs: 5", "epochs: 6");
    assert_eq!(trained_from(&project, "small.yaml"), 0);
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let project = project("    epochs: 2\n");
    trained_from(&project, "small.yaml");
    for record in sorted(&project.path(".packtrain/checkpoints")) {
        std::fs::write(record, "{}").unwrap();
    }
    project.edit("small.yaml", "epochs: 2", "epochs: 3");
    assert_eq!(trained_from(&project, "small.yaml"), 0);
}
