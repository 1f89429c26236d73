//! Stages that are programs: cached by the same rules, typed for built-in kinds, told about, and ended with the run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rustix::process::{self, Pid, Signal};

use crate::harness::{Project, sorted, timeless};

/// Counts the lines of a text, with Python's standard library alone.
const SCRIPT: &str = "
import os, sys
text, out = sys.argv[1:]
with open(text) as file:
    count = len(file.readlines()) * int(os.environ.get('FACTOR', '1'))
with open(out, 'w') as file:
    file.write(f'{count}\\n')
print(f'counted {count}')
";

const COUNT: &str = "
name: small
stages:
  count:
    kind: command
    run: [python3, '{inputs.script}', '{inputs.text}', '{outputs.count}']
    inputs:
      script: { file: count.py }
      text: { file: text.txt }
    outputs:
      count: { file: count.txt }
    environment: { FACTOR: 10 }
    pass-environment: [PACKTRAIN_TEST]
";

fn counting() -> Project {
    let project = Project::new();
    project.write("small.yaml", COUNT).write("count.py", SCRIPT).write("text.txt", "a\nb\n");
    project
}

/// A project with one stage, `it`, that runs a text in a shell and has the output `out`.
fn shell(text: &str) -> Project {
    let project = Project::new();
    let run = serde_json::to_string(text).unwrap();
    project.write(
        "small.yaml",
        &format!("name: small\nstages:\n  it:\n    kind: command\n    run: {run}\n    outputs: {{ out: {{ file: out.txt }} }}\n"),
    );
    project
}

/// Runs a project whose only stage fails; gives what is said of the failure.
fn failure(project: &Project) -> String {
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!((output.code, output.stages().as_str()), (1, "it failed\n"), "{}", output.stderr);
    let from = output.stderr.find("it  failed: ").unwrap();
    let text = &output.stderr[from..];
    text[..text.rfind("\nfailed in").unwrap()].to_owned()
}

#[test]
fn a_command_runs_once_and_tells_what_it_prints() {
    let project = counting();
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.stages(), "count ran\n", "{}", output.stderr);
    assert!(output.stderr.contains("count  counted 20\n"), "{}", output.stderr);
    assert_eq!(project.read("output/small/count/count.txt"), b"20\n");
    assert_eq!(project.run(&["small.yaml"]), "count reused\n");
    assert!(sorted(&project.path(".packtrain/work")).is_empty());
}

#[test]
fn a_changed_script_input_or_variable_reruns_it_and_a_moved_one_does_not() {
    let project = counting();
    project.run(&["small.yaml"]);
    fs::rename(project.path("count.py"), project.path("other.py")).unwrap();
    project.edit("small.yaml", "count.py", "other.py");
    assert_eq!(project.run(&["small.yaml"]), "count reused\n");

    project.edit("other.py", "counted", "found");
    let explained = project.packtrain(&["explain", "small.yaml", "count"]).stdout;
    let expected = "count (command) will run, because\n  - input `inputs.script` has other content\n  it takes about T, going by what was run before\n";
    assert_eq!(timeless(&explained), expected);
    assert_eq!(project.run(&["small.yaml"]), "count ran\n");

    project.edit("small.yaml", "FACTOR: 10", "FACTOR: 100");
    let plan = project.packtrain(&["plan", "small.yaml"]).stdout;
    assert!(plan.contains("environment.FACTOR \"10\" → \"100\""), "{plan}");
    assert_eq!(project.run(&["small.yaml"]), "count ran\n");
    assert_eq!(project.read("output/small/count/count.txt"), b"200\n");

    project.edit("small.yaml", "FACTOR: 100", "FACTOR: '100'");
    assert_eq!(project.run(&["small.yaml"]), "count reused\n");
    project.edit("small.yaml", "'{outputs.count}'", "count.txt");
    let plan = project.packtrain(&["plan", "small.yaml"]).stdout;
    assert!(plan.contains("\"{outputs.count}\"] → [\"python3\","), "{plan}");
}

#[test]
fn a_command_sees_the_variables_that_are_declared_and_no_others() {
    let project = shell("env | cut -d= -f1 | sort | tr '\\n' ' ' > out.txt; echo $SHOWN $B");
    project.edit("small.yaml", "    outputs", "    environment: { B: '{seed}' }\n    pass-environment: [SHOWN]\n    outputs");
    let run = |shown: &str| {
        let output = project.packtrain_with(&["run", "small.yaml"], &[("SHOWN", shown), ("HIDDEN", "1")]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        (output.stages(), output.stderr.contains(&format!("it  {shown} 0\n")))
    };
    assert_eq!(run("first"), ("it ran\n".to_owned(), true));
    let seen = String::from_utf8(project.read("output/small/it/out.txt")).unwrap();
    let seen: Vec<&str> = seen.split_whitespace().filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name)).collect();
    assert_eq!(seen, ["B", "HOME", "LANG", "PATH", "SHOWN", "TMPDIR"]);
    assert_eq!(run("second"), ("it reused\n".to_owned(), false));
}

#[test]
fn inputs_are_laid_out_under_their_names_and_cannot_be_written() {
    let project = Project::new();
    project
        .write("data/tools/words.py", "print('from a folder')")
        .write("data/tools/deep/a.txt", "a\n")
        .write("data/tools/.hidden", "")
        .write("data/neighbour.py", "")
        .write("data/main.py", "import words\ntry:\n    import neighbour\nexcept ImportError:\n    print('no neighbour')\n")
        .write(
            "small.yaml",
            "
name: small
stages:
  first: { kind: command, run: 'echo one > x', outputs: { main: { file: x } } }
  it:
    kind: command
    run: |
      find inputs ! -type d | sort > {outputs.list}
      python3 {inputs.main}
      cat {inputs.first} {inputs.tools}/deep/a.txt
      stat -c %A {inputs.main}
    inputs: { main: { file: data/main.py }, tools: { folder: data/tools }, first: first }
    environment: { PYTHONPATH: '{inputs.tools}' }
    outputs: { list: { file: list.txt } }
",
        );
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!(output.stages(), "first ran\nit ran\n", "{}", output.stderr);
    let list = String::from_utf8(project.read("output/small/it/list.txt")).unwrap();
    assert_eq!(list, "inputs/first\ninputs/main\ninputs/tools/deep/a.txt\ninputs/tools/words.py\n");
    for line in ["it  from a folder", "it  no neighbour", "it  one", "it  a", "it  -r--r--r--"] {
        assert!(output.stderr.lines().any(|told| told == line), "{line}: {}", output.stderr);
    }
    assert_eq!(project.run(&["small.yaml"]), "first reused\nit reused\n", "what Python leaves beside its sources does not count");
    project.write("data/tools/deep/b.txt", "");
    let explained = project.packtrain(&["explain", "small.yaml", "it"]).stdout;
    let expected = "it (command) will run, because\n  - input `inputs.tools`: 1 file added\n      + deep/b.txt\n  it takes about T, going by what was run before\n";
    assert_eq!(timeless(&explained), expected);
}

#[test]
fn a_failing_command_is_told_with_its_code_and_its_last_words() {
    let python = shell("python3 -c 'import sys; print(1); sys.exit(\"no such class: cow\")'");
    assert_eq!(
        failure(&python),
        "it  failed: `sh -ec python3 -c 'import sys; print(1); sys.exit(\"no such class: cow\")'` failed: exit code 1; its last words:\n\
         no such class: cow"
    );
    assert_eq!(
        failure(&shell("false; echo not reached > out.txt")),
        "it  failed: `sh -ec false; echo not reached > out.txt` failed: exit code 1"
    );
    assert_eq!(failure(&shell("kill -SEGV $$")), "it  failed: `sh -ec kill -SEGV $$` failed: killed by signal 11");
    let missing = shell("x");
    missing.edit("small.yaml", "run: \"x\"", "run: [no-such-program, a]");
    assert_eq!(
        failure(&missing),
        "it  failed: `no-such-program a` failed: exit code 127; its last words:\n\
         cannot start `no-such-program`: No such file or directory (os error 2)"
    );
}

#[test]
fn what_a_command_does_not_write_or_writes_wrongly_is_named() {
    assert_eq!(failure(&shell("echo x > out.text")), "it  failed: it did not write its output `out`: there is no out.txt");
    assert_eq!(failure(&shell("mkdir out.txt")), "it  failed: its output `out` is not what it should be: out.txt is a folder, not a file");
    let linking = shell("ln -s inputs/a out.txt");
    linking.write("a", "").edit("small.yaml", "    outputs", "    inputs: { a: { file: a } }\n    outputs");
    assert_eq!(failure(&linking), "it  failed: its output `out` is not what it should be: out.txt is a link; write a file instead");
    linking.edit("small.yaml", "ln -s", "ln");
    assert!(failure(&linking).contains("out.txt is another file too, by a hard link; write a file of its own"));
    let typed = shell("echo '{\"R\": 1}' > out.txt");
    typed.edit("small.yaml", "{ file: out.txt }", "{ type: mean, file: out.txt }");
    assert!(failure(&typed).contains("out.txt: not a mean: missing field `G`"), "{}", failure(&typed));
}

#[test]
fn a_command_that_fails_once_is_tried_again() {
    let project = shell("x");
    let seen = project.path("seen").display().to_string();
    project.edit("small.yaml", "\"x\"", &format!("\"echo x > left; test -e {seen} || {{ touch {seen}; exit 3; }}; ls > {{outputs.out}}\""));
    project.edit("small.yaml", "    outputs", "    retries: 2\n    outputs");
    let output = project.packtrain(&["run", "small.yaml"]);
    assert_eq!((output.code, output.stages().as_str()), (0, "it ran\n"), "{}", output.stderr);
    assert!(output.stderr.contains("failed: exit code 3; trying again (1 of 2)"), "{}", output.stderr);
    let record = project.read("output/small/it/out.txt");
    assert_eq!(String::from_utf8(record).unwrap().matches("left").count(), 1);
}

#[test]
fn a_command_that_takes_too_long_is_stopped_with_its_children() {
    let project = shell("sleep 1000 & echo $! > pid; cp pid ../../../pid; wait");
    project.edit("small.yaml", "    outputs", "    timeout: 0.5 s\n    outputs");
    assert_eq!(failure(&project), "it  failed: it took longer than its `timeout` allows");
    let child = String::from_utf8(project.read("pid")).unwrap().trim().parse().unwrap();
    wait_until_gone(&[Pid::from_raw(child).unwrap()]);
}

#[test]
fn a_command_s_output_is_typed_where_a_built_in_kind_takes_it() {
    let project = shell("x");
    project.edit(
        "small.yaml",
        "stages:\n",
        "stages:\n  pack: { kind: pack, images: images, size: 8 }\n  mean: { kind: compute-mean, images: it }\n",
    );
    fs::create_dir(project.path("images")).unwrap();
    let errors = project.packtrain(&["validate", "small.yaml"]);
    assert_eq!(errors.code, 3);
    assert!(errors.stderr.contains("`images` takes images, but `it.out` is a file"), "{}", errors.stderr);
}

#[test]
fn images_that_a_command_makes_are_packed_images() {
    let project = Project::with_images(4);
    project.write(
        "small.yaml",
        "
name: small
stages:
  pack: { kind: pack, images: images, size: 16 }
  copy:
    kind: command
    run: cat {inputs.images} > {outputs.images}
    inputs: { images: pack }
    outputs: { images: { type: images, file: copy.h5 } }
  mean: { kind: compute-mean, images: copy }
  mean-of-original: { kind: compute-mean, images: pack }
",
    );
    let one_after_the_other = project.run(&["small.yaml", "--jobs", "1"]);
    assert_eq!(one_after_the_other, "pack ran\ncopy ran\nmean ran\nmean-of-original reused\n");
    assert_eq!(project.read("output/small/copy/copy.h5"), project.read("output/small/pack/train.h5"));
    let graph = project.packtrain(&["graph", "small.yaml"]).stdout;
    assert!(graph.contains("pack -- \"train → inputs.images\" --> copy"), "{graph}");
    assert!(project.packtrain(&["status", "small.yaml"]).stdout.contains("copy              command       up to date"));
}

#[cfg(feature = "torch")]
#[test]
fn a_mean_that_a_command_makes_is_what_a_network_is_trained_with() {
    let project = Project::with_images(4);
    project.write(
        "small.yaml",
        "
name: small
params: { red: 100 }
stages:
  pack: { kind: pack, images: images, size: 16 }
  mean:
    kind: command
    run: \"echo '{\\\"R\\\": ${red}, \\\"G\\\": 110.5, \\\"B\\\": 90}' > {outputs.mean}\"
    outputs: { mean: { type: mean, file: mean.json } }
  train:
    kind: train
    train: pack
    mean: mean
    model: mini-googlenet
    input: { size: 16, train: resize }
    optimizer: { sgd: { lr: 0.01 } }
    epochs: 1
    batch: 4
",
    );
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nmean ran\ntrain ran\n");
    let model = String::from_utf8_lossy(&project.read("output/small/train/model.safetensors")).into_owned();
    assert!(model.contains("110.5"), "the model knows the mean that it was trained with");
    assert_eq!(project.run(&["small.yaml", "-p", "red=101"]), "pack reused\nmean ran\ntrain ran\n");
}

/// A command that says its process id and that of a child, and that takes no notice of being asked to end where `stubborn`.
fn sleeping(stubborn: bool) -> Project {
    let trap = if stubborn { "trap '' TERM; " } else { "" };
    shell(&format!("{trap}sleep 600 & echo sleeping $$ $!; wait; wait"))
}

/// The process ids that the command has said.
fn said(line: &str) -> Vec<Pid> {
    let ids = line.split_once("sleeping ").unwrap().1.split('"').next().unwrap();
    ids.split(' ').map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect()
}

fn wait_until_gone(ids: &[Pid]) {
    let started = Instant::now();
    while ids.iter().any(|id| is_alive(*id)) {
        assert!(started.elapsed() < Duration::from_secs(8), "{ids:?} are still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that nobody has reaped yet is dead.
fn is_alive(id: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_killed_coordinator_takes_the_command_and_its_children_with_it() {
    let project = sleeping(false);
    let (mut coordinator, line) = project.run_until_line(&["small.yaml"], "sleeping ");
    let ids = said(&line);
    assert!(ids.iter().all(|id| is_alive(*id)), "{line}");
    coordinator.kill().unwrap();
    coordinator.wait().unwrap();
    wait_until_gone(&ids);
}

#[test]
fn ctrl_c_ends_the_command_and_its_children() {
    let project = sleeping(false);
    let (mut coordinator, line) = project.run_until_line(&["small.yaml"], "sleeping ");
    process::kill_process(Pid::from_child(&coordinator), Signal::INT).unwrap();
    assert_eq!(coordinator.wait().unwrap().code(), Some(130));
    wait_until_gone(&said(&line));
    assert!(sorted(&project.path(".packtrain/work")).is_empty());
}

#[test]
fn a_command_that_does_not_end_when_asked_is_killed() {
    let project = sleeping(true);
    let (mut coordinator, line) = project.run_until_line(&["small.yaml"], "sleeping ");
    process::kill_process(Pid::from_child(&coordinator), Signal::INT).unwrap();
    assert_eq!(coordinator.wait().unwrap().code(), Some(130));
    wait_until_gone(&said(&line));
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let project = shell("sleep 600 & echo sleeping $! > out.txt");
    assert_eq!(project.run(&["small.yaml"]), "it ran\n");
    wait_until_gone(&said(std::str::from_utf8(&project.read("output/small/it/out.txt")).unwrap().trim()));
}

#[test]
fn an_executable_script_is_a_program() {
    let project = shell("x");
    project.write("a.sh", "#!/bin/sh\necho \"$1\" > out.txt\n");
    fs::set_permissions(project.path("a.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    project.edit("small.yaml", "run: \"x\"", "run: ['{inputs.script}', 'a  b; $x']\n    inputs: { script: { file: a.sh } }");
    project.run(&["small.yaml"]);
    assert_eq!(project.read("output/small/it/out.txt"), b"a  b; $x\n", "no shell reads the arguments");
}
