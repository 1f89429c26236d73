//! Some stages of a pipeline: `--only`, `--from`, `--until`.

use crate::harness::Project;

const PIPELINE: &str = "
name: small
stages:
  pack: { kind: pack, images: images, size: 32, split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
  check: { kind: compute-mean, images: pack.val, per: pixel }
";

fn project() -> Project {
    let project = Project::with_images(4);
    project.write("small.yaml", PIPELINE);
    project
}

#[test]
fn until_runs_a_stage_and_what_it_needs() {
    let project = project();
    assert_eq!(project.run(&["small.yaml", "--until", "mean"]), "pack ran\nmean ran\n");
    assert!(!project.path("output/small/check").exists());
    assert_eq!(project.run(&["small.yaml"]), "pack reused\nmean reused\ncheck ran\n");
}

#[test]
fn only_runs_a_stage_alone_and_reuses_what_it_needs() {
    let project = project();
    let output = project.packtrain(&["run", "small.yaml", "--only", "mean"]);
    assert_eq!((output.code, output.stages().as_str()), (1, "pack failed\nmean not run\n"));
    let reason = "it has no result for its present inputs and is not chosen to run; choose it too, or run it first";
    assert!(output.stderr.contains(reason), "{}", output.stderr);

    project.run(&["small.yaml", "--until", "pack"]);
    assert_eq!(project.run(&["small.yaml", "--only", "mean"]), "pack reused\nmean ran\n");
    assert_eq!(project.run(&["small.yaml", "--only", "mean", "--only", "pack"]), "pack reused\nmean reused\n");
}

#[test]
fn from_runs_a_stage_and_what_needs_it() {
    let project = project();
    project.run(&["small.yaml"]);
    project.edit("small.yaml", "images: pack.train }", "images: pack.train, per: pixel }");
    assert_eq!(project.run(&["small.yaml", "--from", "check"]), "pack reused\ncheck reused\n");
    assert_eq!(project.run(&["small.yaml", "--from", "pack", "--until", "mean"]), "pack reused\nmean ran\n");
}

#[test]
fn a_plan_says_what_is_missing_and_not_chosen() {
    let project = project();
    let plan = project.packtrain(&["plan", "small.yaml", "--only", "mean"]).stdout;
    let lines: Vec<String> = plan.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[1], "pack pack be missing its result is not there, and it is not chosen");
    assert_eq!(lines[2], "mean compute-mean be decided unknown until pack has run");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_choice_of_nothing_or_of_a_stage_that_is_not_there_is_refused() {
    let project = project();
    let output = project.packtrain(&["run", "small.yaml", "--from", "mean", "--until", "check"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (2, "error: no stage of small is chosen by `--only`, `--from` and `--until` together\n")
    );
    let output = project.packtrain(&["plan", "small.yaml", "--only", "maen"]);
    assert_eq!((output.code, output.stderr.as_str()), (2, "error: there is no stage `maen` in small; its stages are pack, mean, check\n"));
}
