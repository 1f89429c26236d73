//! `packtrain lock` and `--locked`: the same inputs, keys and outputs, or a refusal that says what differs and where.

use std::fs;

use crate::harness::{Project, sorted};

const PIPELINE: &str = "
name: small
params: { size: 16 }
stages:
  pack: { kind: pack, images: images, size: \"${size}\", split: { val: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
  stamp:
    kind: command
    run: 'cat {inputs.note} > {outputs.out}; cat {inputs.mean} > copy; date +%s%N >> {outputs.out}'
    inputs: { note: { file: note.txt }, mean: mean }
    outputs: { out: { file: out.txt } }
  after:
    kind: command
    run: 'cp {inputs.out} {outputs.out}'
    inputs: { out: stamp.out }
    outputs: { out: { file: after.txt } }
";

/// Without the stage that gives something else each time.
fn steady() -> Project {
    let project = Project::with_images(4);
    project.write("small.yaml", PIPELINE.split("  stamp:").next().unwrap());
    project
}

fn locked(project: Project) -> Project {
    project.run(&["small.yaml"]);
    let output = project.packtrain(&["lock", "small.yaml"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    project
}

fn lock(project: &Project) -> String {
    String::from_utf8(project.read("small.lock")).unwrap()
}

/// The lines that only one of two texts has.
fn changed(before: &str, after: &str) -> Vec<String> {
    let others = |text: &str, other: &str| -> Vec<String> {
        text.lines().filter(|line| !other.lines().any(|known| known == *line)).map(str::to_owned).collect()
    };
    [others(before, after), others(after, before)].concat()
}

#[test]
fn a_lock_says_one_fact_a_line_without_dates_and_places() {
    let project = locked(steady());
    let text = lock(&project);
    let digest = regex::Regex::new("[0-9a-f]{64}").unwrap();
    let size = regex::Regex::new("[0-9]+ bytes").unwrap();
    let shown = size.replace_all(&digest.replace_all(&text, "DIGEST"), "SIZE").into_owned();
    insta::assert_snapshot!(shown, @r"
    packtrain-lock 1
    # Written by `packtrain lock`, kept to by `packtrain run --locked`.
    mean kind compute-mean 1
    mean key DIGEST
    mean output mean DIGEST SIZE
    pack kind pack 2
    pack input images DIGEST 20 files
    pack key DIGEST
    pack output train DIGEST SIZE
    pack output val DIGEST SIZE
    ");
    assert!(project.packtrain(&["lock", "small.yaml"]).stdout.starts_with("small.lock says so already: 2 stages"));

    let moved = steady();
    fs::rename(moved.path("images"), moved.path("photos")).unwrap();
    moved.edit("small.yaml", "images: images,", "images: photos,");
    assert_eq!(lock(&locked(moved)), text, "another folder, another day");
}

#[test]
fn a_locked_run_gives_the_same_in_another_cache() {
    let project = locked(steady());
    fs::remove_dir_all(project.path(".packtrain")).unwrap();
    fs::create_dir(project.path(".packtrain")).unwrap();
    assert_eq!(project.run(&["small.yaml", "--locked"]), "pack ran\nmean ran\n");
    assert_eq!(project.run(&["small.yaml", "--locked"]), "pack reused\nmean reused\n");
    assert_eq!(project.packtrain(&["plan", "small.yaml", "--locked"]).code, 0);
}

#[test]
fn an_edited_image_is_refused_before_anything_runs() {
    let project = locked(steady());
    let class = sorted(&project.path("images")).remove(0);
    let images = sorted(&class);
    fs::copy(&images[1], &images[0]).unwrap();
    let runs = sorted(&project.path(".packtrain/runs")).len();
    for command in ["run", "plan"] {
        let output = project.packtrain(&[command, "small.yaml", "--locked"]);
        assert_eq!((output.code, output.stdout.as_str()), (5, ""), "{}", output.stderr);
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(lines[0], "error: small.lock:7: the input images of pack is not the locked one");
        assert!(lines[1].starts_with("  expected ") && lines[1].ends_with(" 20 files"), "{}", output.stderr);
        assert!(lines[2].starts_with("  actual   ") && lines[1][11..] != lines[2][11..], "{}", output.stderr);
        let name = images[0].file_name().unwrap().to_str().unwrap();
        assert!(lines[3].contains("1 image changed") || lines[3].contains(name), "{}", output.stderr);
        assert_eq!(lines[4], "hint: to accept what is there now, run without `--locked` and then `packtrain lock MANIFEST`");
    }
    assert_eq!(sorted(&project.path(".packtrain/runs")).len(), runs, "nothing ran");

    let before = lock(&project);
    let project = locked(project);
    let changed = changed(&before, &lock(&project));
    assert!(changed.iter().all(|line| !line.contains(" kind ")) && changed.len() >= 4, "{changed:?}");
    assert_eq!(project.packtrain(&["run", "small.yaml", "--locked"]).code, 0);
}

#[test]
fn a_parameter_that_was_not_locked_is_refused_by_the_key() {
    let project = locked(steady());
    let output = project.packtrain(&["run", "small.yaml", "--locked", "-p", "size=20"]);
    assert_eq!(output.code, 5);
    assert!(output.stderr.starts_with("error: small.lock:8: the key of pack is not the locked one\n  expected "), "{}", output.stderr);
    assert!(output.stderr.contains("size") && output.stderr.contains("16 → 20"), "{}", output.stderr);
}

#[test]
fn another_output_is_refused_when_it_is_there_and_nothing_that_needs_it_runs() {
    let project = steady();
    project.write("small.yaml", PIPELINE).write("note.txt", "note\n");
    let project = locked(project);
    let given = project.read("output/small/stamp/out.txt");
    assert_eq!(project.run(&["small.yaml", "--locked"]), "pack reused\nmean reused\nstamp reused\nafter reused\n");
    fs::remove_dir_all(project.path(".packtrain")).unwrap();
    let output = project.packtrain(&["run", "small.yaml", "--locked"]);
    assert_eq!((output.code, output.stages().as_str()), (1, "pack ran\nmean ran\nstamp failed\nafter not run\n"), "{}", output.stderr);
    let line = 1 + lock(&project).lines().position(|line| line.starts_with("stamp output out ")).unwrap();
    let told = format!("stamp  failed: small.lock:{line}: the output out of stamp is not the locked one\n  expected ");
    assert!(output.stderr.contains(&told), "{}", output.stderr);
    assert!(output.stderr.contains("the same inputs gave other bytes: `packtrain check` runs the stage again"), "{}", output.stderr);
    assert!(project.read("output/small/stamp/out.txt") == given, "what is not as locked is not given");
}

#[test]
fn a_missing_lock_a_broken_one_and_stages_too_many_or_too_few_are_told() {
    let project = steady();
    let refused = |code: i32, told: &str| {
        let output = project.packtrain(&["run", "small.yaml", "--locked"]);
        assert_eq!(output.code, code, "{}", output.stderr);
        assert!(output.stderr.starts_with(told), "{}", output.stderr);
    };
    let output = project.packtrain(&["lock", "small.yaml"]);
    assert_eq!(output.code, 1);
    assert!(output.stderr.starts_with("error: pack has no result for its present inputs: a lock is of results"), "{}", output.stderr);
    refused(3, "error: there is no lock small.lock\nhint: `packtrain run MANIFEST`, then `packtrain lock MANIFEST` writes one");
    project.run(&["small.yaml"]);
    project.packtrain(&["lock", "small.yaml"]);
    let text = lock(&project);
    project.write("small.lock", &format!("{text}<<<<<<< HEAD\n"));
    refused(3, "error: small.lock:11: this is no line of a lock");
    project.write("small.lock", &format!("{text}split key 1\n"));
    refused(5, "error: small.lock:11: the stage split is locked and not there");
    project.write("small.lock", &text.lines().filter(|line| !line.starts_with("mean")).map(|line| format!("{line}\n")).collect::<String>());
    refused(5, "error: small.lock: mean is not in the lock");
}

#[test]
fn every_variant_is_locked_under_its_name() {
    let project = steady();
    project.write("small.yaml", &format!("{}matrix: {{ size: [16, 24] }}\n", fs::read_to_string(project.path("small.yaml")).unwrap()));
    let project = locked(project);
    let text = lock(&project);
    assert!(text.contains("\nsize=16/pack kind pack 2\n") && text.contains("\nsize=24/mean output mean "), "{text}");
    assert_eq!(project.packtrain(&["run", "small.yaml", "--locked"]).code, 0);
    assert_eq!(project.packtrain(&["run", "small.yaml", "--locked", "--variant", "size=24"]).code, 0);
    project.edit("small.yaml", "[16, 24]", "[16, 20]");
    assert!(project.packtrain(&["run", "small.yaml", "--locked"]).stderr.starts_with("error: small.lock: size=20/pack is not in the lock"));
}
