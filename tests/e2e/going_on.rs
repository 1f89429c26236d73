//! How a run that was cut or that failed says how to go on.

use crate::harness::Project;

const SLEEPING: &str = "
name: small
params: { note: a }
stages:
  first: { kind: command, run: 'echo 1 > x', outputs: { main: { file: x } } }
  it:
    kind: command
    run: 'echo sleeping ${note}; sleep 600'
    inputs: { first: first }
    outputs: { main: { file: x } }
";

/// What a run says of going on, whatever else it prints.
fn way_on(said: &str) -> String {
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("kept: ") || line.contains("the same command")).collect();
    lines.join("\n").replace(env!("CARGO_BIN_EXE_packtrain"), "packtrain")
}

#[test]
fn an_interrupted_run_ends_with_what_was_kept_and_with_the_command_as_it_was_typed() {
    let project = Project::new();
    project.write("my experiment.yaml", SLEEPING);
    let mut run = project.listen(&["run", "my experiment.yaml", "-p", "note=two words"]);
    run.hear("sleeping two words");
    run.interrupt();
    let (code, said) = run.end();
    assert_eq!(code, 130, "{said}");
    let expected = "kept: first\nto go on, run the same command again: packtrain run 'my experiment.yaml' -p 'note=two words'";
    assert_eq!(way_on(&said), expected);
}

#[test]
fn a_failed_run_ends_with_what_was_kept_and_a_whole_one_with_its_table() {
    let project = Project::new();
    project.write("small.yaml", SLEEPING).edit("small.yaml", "sleep 600", "exit 3");
    let output = project.packtrain(&["run", "small.yaml"]);
    let expected = "kept: first\nonce the cause is mended, the same command goes on from there: packtrain run small.yaml";
    assert_eq!((output.code, way_on(&output.stderr).as_str()), (1, expected));
    project.edit("small.yaml", "exit 3", "echo 1 > x");
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.code, 0);
    assert_eq!(way_on(&output.stderr), "");
}
