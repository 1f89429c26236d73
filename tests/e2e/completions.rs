//! What a shell offers: the program is called as the script of `packtrain completions bash` calls it.

use std::process::Command;

use crate::harness::Project;

const MANIFEST: &str = "
description: Squares and circles.
params: { images: images, lr: 0.1, epochs: 3 }
matrix: { lr: [0.1, 0.2], epochs: [3, 4] }
stages:
  pack: { kind: pack, images: '${images}', size: 32 }
  mean: { kind: compute-mean, images: pack.train }
";

fn project() -> Project {
    let project = Project::new();
    project.write("shapes.yaml", MANIFEST);
    project.write("more/colours.yaml", "extends: ../shapes.yaml\nstages: { check: { kind: compute-mean, images: pack.train } }\n");
    project.write("settings.yaml", "theme: dark\n").write("notes.txt", "").write("broken.yaml", "stages: [\n");
    project.write("packtrain-profiles.yaml", "workstation: { jobs: 2 }\nlaptop:\n");
    project.write("settings/packtrain/profiles.yaml", "mine:\n");
    project
}

/// What bash is offered for the last word of a line, which begins with `packtrain`.
fn offered(project: &Project, line: &[&str]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packtrain"));
    command.current_dir(project.path("")).env("XDG_CONFIG_HOME", project.path("settings")).env_remove("PACKTRAIN_PROFILE");
    command.env("PACKTRAIN_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", line.len().to_string()).env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "false");
    let output = command.args(["--", "packtrain"]).args(line).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn only_files_that_are_manifests_are_offered_where_one_belongs() {
    let project = project();
    assert_eq!(offered(&project, &["run", ""])[..3], ["more/", "settings/", "shapes.yaml"]);
    assert_eq!(offered(&project, &["plan", "sh"]), ["shapes.yaml"]);
    assert_eq!(offered(&project, &["plan", "more/"]), ["more/colours.yaml"]);
}

#[test]
fn stages_are_those_of_the_manifest_on_the_line_and_of_what_it_extends() {
    let project = project();
    assert_eq!(offered(&project, &["run", "shapes.yaml", "--only", ""]), ["pack", "mean"]);
    assert_eq!(offered(&project, &["run", "more/colours.yaml", "--force", ""]), ["pack", "mean", "check"]);
    assert_eq!(offered(&project, &["explain", "shapes.yaml", "m"]), ["mean"]);
}

#[test]
fn parameters_variants_and_profiles_are_offered() {
    let project = project();
    assert_eq!(offered(&project, &["run", "shapes.yaml", "-p", ""]), ["images=", "lr=", "epochs="]);
    assert_eq!(offered(&project, &["run", "shapes.yaml", "--param", "l"]), ["lr="]);
    assert_eq!(offered(&project, &["run", "shapes.yaml", "--variant", "lr=0.1"]), ["lr=0.1", "lr=0.1,epochs=3", "lr=0.1,epochs=4"]);
    assert_eq!(offered(&project, &["run", "shapes.yaml", "--profile", ""]), ["workstation", "laptop", "mine"]);
    assert_eq!(offered(&project, &["--profile", "l"]), ["laptop"]);
}

#[test]
fn runs_are_offered_by_how_long_ago_they_were_by_name_and_by_id() {
    let project = Project::with_images(2);
    project.write("shapes.yaml", MANIFEST);
    assert_eq!(offered(&project, &["name", "l"]), Vec::<String>::new());
    project.run(&["shapes.yaml", "--name", "baseline", "--variant", "lr=0.1,epochs=3"]);
    let words = offered(&project, &["tag", ""]);
    assert_eq!(words[..2], ["last", "baseline"]);
    assert!(words[2].starts_with("20"), "{words:?}");
    assert_eq!(offered(&project, &["tag", "b"]), ["baseline"]);
}

#[test]
fn a_line_without_a_manifest_or_with_a_broken_one_is_offered_no_stages() {
    let project = project();
    assert_eq!(offered(&project, &["run", "broken.yaml", "--only", ""]), Vec::<String>::new());
    let others = offered(&project, &["explain", "nowhere.yaml", ""]);
    assert!(others.iter().all(|offered| offered.starts_with("--")), "{others:?}");
}

#[test]
fn every_shell_gets_a_script_that_asks_the_program() {
    let project = Project::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = project.packtrain(&["completions", shell]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(output.stdout.contains("PACKTRAIN_COMPLETE") && output.stdout.contains(env!("CARGO_BIN_EXE_packtrain")), "{shell}");
    }
    assert_eq!(project.packtrain(&["completions", "tcsh"]).code, 2);
}

#[test]
fn bash_completes_a_line_by_the_script() {
    let project = project();
    let script = project.packtrain(&["completions", "bash"]).stdout;
    project.write("complete.bash", &script);
    let line = "source complete.bash; COMP_WORDS=(packtrain explain shapes.yaml me); COMP_CWORD=3; COMP_TYPE=9; \
                _clap_complete_packtrain packtrain me shapes.yaml; echo \"${COMPREPLY[@]}\"";
    let Ok(output) = Command::new("bash").current_dir(project.path("")).args(["-c", line]).output() else {
        panic!("this machine has no bash");
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "mean", "{}", String::from_utf8_lossy(&output.stderr));
}
