//! `run --watch`: what makes it run again, what it stops, and what it leaves alone. Tests wait for lines, never for a time.

use std::fs;

use serde_json::Value;

use crate::harness::{Project, Running, sorted};

const PACKING: &str = "
name: small
params: { size: 16 }
stages:
  pack: { kind: pack, images: images, size: \"${size}\" }
  mean: { kind: compute-mean, images: pack }
";

/// Two commands, the second of which sleeps for long while there is no file `go`.
fn commands() -> Project {
    let project = Project::new();
    let go = project.path("go").display().to_string();
    project.write("text.txt", "a\n").write(
        "small.yaml",
        &format!(
            "
name: small
stages:
  first:
    kind: command
    run: cat {{inputs.text}} > x
    inputs: {{ text: {{ file: text.txt }} }}
    outputs: {{ main: {{ file: x }} }}
  slow:
    kind: command
    run: |
      echo 'slow one' $$
      while ! test -e {go}; do sleep 0.05; done
      cat {{inputs.first}} > x
    inputs: {{ first: first }}
    outputs: {{ main: {{ file: x }} }}
  last:
    kind: command
    run: echo 'last one'; cat {{inputs.slow}} > x
    inputs: {{ slow: slow }}
    outputs: {{ main: {{ file: x }} }}
"
        ),
    );
    project
}

fn watch(project: &Project) -> Running {
    project.listen(&["run", "--watch", "small.yaml"])
}

/// Ctrl-C while nothing runs.
fn end(running: Running) -> String {
    running.interrupt();
    let (code, said) = running.end();
    assert_eq!(code, 0, "{said}");
    said
}

#[test]
fn an_edited_manifest_and_added_images_run_what_they_touch() {
    let project = Project::with_images(4);
    project.write("small.yaml", PACKING);
    let mut running = watch(&project);
    assert_eq!(running.hear("watching "), "watching 1 manifest and 1 folder (20 files); Ctrl-C ends");
    project.edit("small.yaml", "size: 16", "size: 24");
    running.hear("changed: small.yaml");
    running.hear("pack  running: size 16 → 24");
    running.hear("watching 1 manifest");

    fs::create_dir(project.path("new")).unwrap();
    for image in sorted(&project.path("images/circle")) {
        fs::copy(&image, project.path("new").join(image.file_name().unwrap())).unwrap();
    }
    fs::rename(project.path("new"), project.path("images/new")).unwrap();
    running.hear("4 files added in images/");
    running.hear("24 of 24 rows reused");
    running.hear("watching 1 manifest and 1 folder (24 files)");
    fs::remove_file(sorted(&project.path("images/circle")).pop().unwrap()).unwrap();
    running.hear("removed: images/circle/");
    running.hear("pack  running: input `images`: 1 image removed");
    running.hear("watching 1 manifest and 1 folder (23 files)");
    let said = end(running);
    assert_eq!(said.matches("finished in").count(), 4, "{said}");
}

#[test]
fn a_touched_file_and_what_packtrain_writes_itself_run_nothing() {
    let project = Project::with_images(4);
    project.write("small.yaml", PACKING).edit("small.yaml", "images: images", "images: .");
    let mut running = watch(&project);
    running.hear("watching 1 manifest");
    let image = sorted(&project.path("images/circle")).pop().unwrap();
    fs::write(&image, fs::read(&image).unwrap()).unwrap();
    running.hear("touched, but with the same content as before");
    for own in ["output/extra.png", ".packtrain/extra.png"] {
        fs::copy(&image, project.path(own)).unwrap();
    }
    project.edit("small.yaml", "size: 16", "size: 24");
    running.hear("changed: small.yaml");
    running.hear("watching 1 manifest");
    let said = end(running);
    assert_eq!(said.matches("finished in").count(), 2, "{said}");
    assert!(!said.contains("added: ") && !said.contains("files added"), "{said}");
}

/// Writes as editors do: a new file that takes the place of the old one.
fn save(project: &Project, name: &str, text: &str) {
    let temporary = format!(".{name}.swp");
    project.write(&temporary, text);
    fs::rename(project.path(&temporary), project.path(name)).unwrap();
}

#[test]
fn files_that_an_editor_replaces_are_still_watched() {
    let project = Project::with_images(1);
    let own = |size: u32| format!("extends: base.yaml\nparams: {{ size: {size} }}\n");
    project.write("base.yaml", PACKING).write("small.yaml", &own(18));
    let mut running = watch(&project);
    running.hear("watching 2 manifests");
    save(&project, "small.yaml", &own(20));
    running.hear("pack  running: size 18 → 20");
    running.hear("watching 2 manifests");
    save(&project, "base.yaml", &PACKING.replace("mean:", "average:"));
    running.hear("changed: base.yaml");
    running.hear("average  reused");
    running.hear("watching 2 manifests");
    fs::remove_file(project.path("small.yaml")).unwrap();
    running.hear("there is no manifest `small.yaml`");
    save(&project, "small.yaml", &own(22));
    running.hear("pack  running: size 20 → 22");
    running.hear("watching 2 manifests");
    end(running);
}

#[test]
fn a_broken_manifest_is_told_once_and_the_next_good_one_runs() {
    let project = Project::with_images(1);
    project.write("small.yaml", &PACKING.replace("kind: pack", "kind: pac"));
    let mut running = watch(&project);
    running.hear("error: `kind` cannot be `pac`");
    running.hear("waiting until that is mended");
    project.write("small.yaml", PACKING);
    running.hear("watching 1 manifest");
    fs::rename(project.path("images"), project.path("pictures")).unwrap();
    running.hear("5 files removed in images/");
    running.hear("-->");
    fs::rename(project.path("pictures"), project.path("images")).unwrap();
    running.hear("watching 1 manifest and 1 folder (5 files)");
    let said = end(running);
    assert_eq!(said.matches("waiting until that is mended").count(), 2, "{said}");
}

#[test]
fn what_a_change_makes_moot_is_stopped() {
    let project = commands();
    let mut running = watch(&project);
    running.hear("slow  slow one");
    project.write("text.txt", "b\n");
    running.hear("changed: text.txt");
    running.hear("no longer wanted: slow");
    running.hear("slow  stopped: it is no longer wanted");
    running.hear("ended early in");
    running.hear("first  done in");
    running.hear("slow  slow one");
    project.write("go", "");
    running.hear("last  last one");
    running.hear("watching 1 manifest and 1 file");
    end(running);
    assert_eq!(project.read("output/small/last/x"), b"b\n");
}

#[test]
fn what_is_still_wanted_goes_on_and_what_is_not_does_not_begin() {
    let project = commands();
    let mut running = watch(&project);
    running.hear("slow  slow one");
    project.edit("small.yaml", "last one", "very last one");
    running.hear("still wanted: slow; the next run comes after it");
    project.write("go", "");
    running.hear("slow  done in");
    running.hear("slow  reused");
    running.hear("last  very last one");
    running.hear("watching");
    let said = end(running);
    assert_eq!(said.matches("slow  slow one").count(), 1, "{said}");
    assert!(!said.contains("last  last one"), "{said}");
}

#[test]
fn a_manifest_that_breaks_while_a_stage_runs_stops_nothing() {
    let project = commands();
    let mut running = watch(&project);
    running.hear("slow  slow one");
    project.edit("small.yaml", "kind: command", "kind: com");
    running.hear("`kind` cannot be `com`");
    project.write("go", "");
    running.hear("last  last one");
    running.hear("finished in");
    project.edit("small.yaml", "kind: com", "kind: command");
    running.hear("last  reused");
    running.hear("watching");
    end(running);
}

#[test]
fn ctrl_c_in_a_run_interrupts_it() {
    let project = commands();
    let mut running = watch(&project);
    running.hear("slow  slow one");
    running.interrupt();
    let (code, said) = running.end();
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("run --watch small.yaml"), "{said}");
}

#[test]
fn events_tell_programs_what_changed_and_what_became_of_it() {
    let project = commands();
    let mut running = project.listen(&["run", "--watch", "--json", "small.yaml"]);
    let mut hear = |text: &str| serde_json::from_str::<Value>(&running.hear(text)).unwrap();
    let started = hear("\"event\":\"stage-started\",\"stage\":\"first\"");
    assert_eq!(started["key"].as_str().map(str::len), Some(64));
    hear("slow one");
    project.write("text.txt", "b\n");
    let changed = hear("\"event\":\"changed\"");
    assert_eq!(changed["changes"], serde_json::json!([{ "path": "text.txt", "how": "changed", "files": 1 }]));
    let superseded = hear("\"event\":\"run-superseded\"");
    assert_eq!(superseded["moot"], serde_json::json!([{ "stage": "slow" }]));
    hear("\"event\":\"stage-superseded\",\"stage\":\"slow\"");
    assert_eq!(hear("\"event\":\"run-finished\"")["outcome"], "superseded");
    project.write("go", "");
    hear("\"outcome\":\"succeeded\"");
    let watching = hear("\"event\":\"watching\"");
    assert_eq!((&watching["manifests"], &watching["files"]), (&Value::from(1), &Value::from(1)));
    project.edit("small.yaml", "stages", "stagess");
    assert!(hear("\"event\":\"unrunnable\"")["problem"].as_str().unwrap().contains("small.yaml:3:1"));
    end(running);
    assert_eq!(sorted(&project.path(".packtrain/runs")).len(), 2, "every run has a record");
}

#[test]
fn what_is_forced_is_forced_once() {
    let project = Project::with_images(1);
    project.write("small.yaml", PACKING);
    project.run(&["small.yaml"]);
    let mut running = project.listen(&["run", "small.yaml", "--watch", "--force", "pack"]);
    running.hear("pack  running: it was asked for");
    running.hear("watching");
    project.edit("small.yaml", "name: small", "name: small\ndescription: other");
    running.hear("changed: small.yaml");
    running.hear("pack  reused");
    running.hear("watching");
    end(running);
}

#[test]
fn watching_is_refused_where_it_makes_no_sense() {
    let project = Project::new();
    let output = project.packtrain(&["run", "small.yaml", "--watch", "--dry-run"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("cannot be used with '--dry-run'"), "{}", output.stderr);
    let output = project.packtrain(&["run", "missing.yaml", "--watch"]);
    assert_eq!(output.code, 3);
    assert!(output.stderr.contains("there is no manifest `missing.yaml`"), "{}", output.stderr);
}

#[cfg(feature = "torch")]
#[test]
fn a_training_that_is_stopped_loses_no_epoch() {
    let project = Project::with_images(8);
    project.write(
        "small.yaml",
        "
name: small
stages:
  pack: { kind: pack, images: images, size: 20 }
  train:
    kind: train
    train: pack.train
    model: mini-googlenet
    input: { size: 16, scale: 0.0078125 }
    optimizer: { sgd: { lr: 0.01 } }
    batch: 16
    epochs: 400
",
    );
    let mut running = watch(&project);
    running.hear("train  epoch 2/400");
    project.edit("small.yaml", "lr: 0.01", "lr: 0.02");
    running.hear("no longer wanted: train");
    let stopped = running.hear("train  stopped: it is no longer wanted; it goes on after epoch ");
    running.hear("train  epoch 1/400");
    project.edit("small.yaml", "lr: 0.02", "lr: 0.01");
    running.hear("train  stopped");
    let epoch = stopped.split_once("after epoch ").unwrap().1.split(' ').next().unwrap();
    running.hear(&format!("train  going on after epoch {epoch} of 400"));
    running.interrupt();
    assert_eq!(running.end().0, 130);
}
