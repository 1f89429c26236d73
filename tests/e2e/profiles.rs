//! `--profile`: a machine's settings, beside manifests that do not name it.

use std::fs;

use crate::harness::Project;

const MANIFEST: &str = "
name: small
params: { images: nowhere, size: 32, share: 0.2 }
stages:
  pack: { kind: pack, images: '${images}', size: '${size}', split: { val: '${share}' } }
  mean: { kind: compute-mean, images: pack.train }
";

const PROFILES: &str = "
workstation:
  device: cpu
  jobs: 1
  state-dir: fast/cache
  params: { images: images, size: 16, of-another-manifest: 3 }
laptop: { params: { images: images } }
";

fn project(profiles: &str) -> Project {
    let project = Project::with_images(4);
    project.write("experiments/small.yaml", MANIFEST).write("packtrain-profiles.yaml", profiles);
    project
}

/// What `validate` says on standard error.
fn error(project: &Project, arguments: &[&str]) -> (i32, String) {
    let output = project.packtrain(&[&["validate", "experiments/small.yaml"], arguments].concat());
    (output.code, output.stderr)
}

#[test]
fn a_profile_gives_parameters_and_the_cache_s_folder_from_where_it_is_written() {
    let project = project(PROFILES);
    assert_eq!(project.packtrain(&["validate", "experiments/small.yaml"]).code, 3);
    assert_eq!(project.run(&["experiments/small.yaml", "--profile", "workstation"]), "pack ran\nmean ran\n");
    assert!(project.path("fast/cache/actions").is_dir());
    assert!(!project.path(".packtrain/actions").exists());
    let status = project.packtrain(&["cache", "status", "--profile", "workstation"]);
    assert!(status.stdout.contains("latest results"), "{}{}", status.stdout, status.stderr);
}

#[test]
fn the_command_line_counts_more_than_the_profile_and_the_profile_more_than_the_manifest() {
    let project = project(PROFILES);
    let parameter = |arguments: &[&str]| {
        let output = project.packtrain(&[&["run", "experiments/small.yaml", "--profile", "workstation"], arguments].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        let size = packtrain::artifact::ImagesFile::open(&project.path("output/small/pack/train.h5")).unwrap().size();
        size.0
    };
    assert_eq!(parameter(&[]), 16);
    assert_eq!(parameter(&["-p", "size=8"]), 8);
    assert!(!project.path(".packtrain/actions").exists());
    parameter(&["--state-dir", ".packtrain"]);
    assert!(project.path(".packtrain/actions").is_dir());
}

#[test]
fn a_matrix_counts_more_than_a_profile() {
    let project = project(PROFILES);
    project.write("experiments/matrix.yaml", "extends: small.yaml\nmatrix: { size: [8, 12] }\n");
    let output = project.packtrain(&["validate", "experiments/matrix.yaml", "--profile", "workstation"]);
    assert!(
        output.stdout.starts_with("matrix: valid, 2 stages in 2 variants\n  size=8\n  size=12\n"),
        "{}{}",
        output.stdout,
        output.stderr
    );
}

#[test]
fn a_profile_changes_no_key_but_through_parameters() {
    let project = project("a: { device: cpu, jobs: 1, params: { images: images } }\nb: { jobs: 2, params: { images: elsewhere } }\n");
    project.run(&["experiments/small.yaml", "--profile", "a"]);
    fs::rename(project.path("images"), project.path("elsewhere")).unwrap();
    assert_eq!(project.run(&["experiments/small.yaml", "--profile", "b"]), "pack reused\nmean reused\n");
}

#[test]
fn the_user_s_own_profiles_serve_where_the_project_has_none_of_the_name() {
    let project = project(PROFILES);
    let images = project.path("images");
    project.write("settings/packtrain/profiles.yaml", &format!("mine: {{ params: {{ images: {} }} }}\n", images.display()));
    assert_eq!(error(&project, &["--profile", "mine"]).0, 0);
    let (code, text) = error(&project, &["--profile", "workstaton"]);
    assert_eq!((code, text.as_str()), (2, "error: there is no profile `workstaton`; did you mean `workstation`?\n"));
    let (_, text) = error(&project, &["--profile", "cluster"]);
    assert_eq!(text, "error: there is no profile `cluster`; the profiles are: `workstation`, `laptop`, `mine`\n");
}

#[test]
fn without_any_profiles_the_places_for_them_are_named() {
    let project = project("");
    let (code, text) = error(&project, &["--profile", "laptop"]);
    let settings = project.path("settings/packtrain/profiles.yaml");
    let expected =
        format!("error: there is no profile `laptop`; profiles are written in packtrain-profiles.yaml or {}\n", settings.display());
    assert_eq!((code, text), (2, expected));
}

#[test]
fn a_wrong_file_of_profiles_tells_everything_that_is_wrong_with_it() {
    let project = project("laptop:\n  devise: cpu\n  jobs: 0\nserver:\n  device: gpu\n  params: [images]\n");
    let (code, text) = error(&project, &["--profile", "laptop"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text.trim_end(), @r#"
    error: unknown key `devise` in `laptop`
     --> packtrain-profiles.yaml:2:3
      |
    2 |   devise: cpu
      |   ^^^^^^
      |
      = help: did you mean `device`?

    error: `jobs` must be at least 1, not 0
     --> packtrain-profiles.yaml:3:9
      |
    3 |   jobs: 0
      |         ^

    error: `device` cannot be `gpu`
     --> packtrain-profiles.yaml:5:11
      |
    5 |   device: gpu
      |           ^^^
      |
      = help: Where networks run: `auto`, `cpu`, `cuda` or `cuda:N`.

    error: `params` must be a map of keys, not a list
     --> packtrain-profiles.yaml:6:3
      |
    6 |   params: [images]
      |   ^^^^^^
      |
      = help: Values of parameters, instead of those that a manifest gives itself; `-p` and `matrix` count more. Parameters that a manifest does not declare are passed over.
    "#);
}

#[test]
fn a_value_that_cannot_be_is_shown_where_the_profile_has_it() {
    let project = project("laptop:\n  params: { images: images, size: large }\n");
    let (code, text) = error(&project, &["--profile", "laptop"]);
    assert_eq!(code, 3);
    insta::assert_snapshot!(text.trim_end(), @r#"
    error: `size` must be a whole number, not the text `large`
     --> packtrain-profiles.yaml:2:35
      |
    2 |   params: { images: images, size: large }
      |                                   ^^^^^
      |
     ::: experiments/small.yaml:5:50
      |
    5 |   pack: { kind: pack, images: '${images}', size: '${size}', split: { val: '${share}' } }
      |                                                  --------- used here
      |
      = help: Side of the packed images, in pixels.
    "#);
}
