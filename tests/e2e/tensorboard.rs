//! Runs as event files; `python.rs` reads them.

use std::fs;

use crate::harness::{Project, sorted};

#[test]
fn a_run_becomes_a_folder_of_event_files_for_each_stage_with_numbers() {
    let project = Project::with_images(4);
    let demo = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml")).unwrap();
    project.write("demo.yaml", &demo);
    project.run(&["demo.yaml", "-p", "images=images", "-p", "epochs=2", "--until", "ten-crop", "--name", "short"]);
    let written = project.packtrain(&["tensorboard", "short", "-o", "board"]);
    insta::assert_snapshot!(written.stdout, @r"
    run             epochs  metrics
    short/train     2       0
    short/ten-crop  0       5

    `tensorboard --logdir board` shows them
    ");
    let files = sorted(&project.path("board/short/train"));
    assert!(matches!(&files[..], [file] if file.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents.")));
    let first = fs::read(&files[0]).unwrap();

    // Nothing is trained again, and the epochs keep their times: only the record of the earlier run has them.
    project.run(&["demo.yaml", "-p", "images=images", "-p", "epochs=2", "--until", "train"]);
    assert_eq!(project.packtrain(&["tensorboard", "last", "short", "-o", "board"]).code, 0);
    assert_eq!(fs::read(&files[0]).unwrap(), first);
    let again = sorted(&project.path("board")).into_iter().find(|run| !run.ends_with("short")).unwrap();
    let scalars = |bytes: &[u8]| bytes[bytes.windows(4).position(|window| window == b"loss").unwrap() - 40..].to_vec();
    assert_eq!(scalars(&fs::read(&sorted(&again.join("train"))[0]).unwrap()), scalars(&first));

    let nothing = project.packtrain(&["run", "demo.yaml", "-p", "images=images", "--until", "pack"]);
    assert_eq!(nothing.code, 0, "{}", nothing.stderr);
    let written = project.packtrain(&["tensorboard", "-o", "board"]).stdout;
    assert!(written.starts_with("no stage of 2") && written.ends_with(" has numbers\n"), "{written}");
}
