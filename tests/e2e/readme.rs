//! What the documents show is true.

use crate::harness::{Project, timeless};

fn readme() -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

#[test]
fn the_readme_s_first_manifest_is_valid_and_packs() {
    let text = readme();
    let manifest = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let project = Project::with_images(10);
    project.write("fruit.yaml", manifest);
    std::fs::rename(project.path("images"), project.path("photos")).unwrap();
    let output = project.packtrain(&["validate", "fruit.yaml"]);
    assert!(output.stdout.starts_with("fruit: valid, 4 stages\npack: 50 images in 5 classes ("), "{}{}", output.stdout, output.stderr);
    assert_eq!(output.code, 0);
    let plan = project.packtrain(&["plan", "fruit.yaml", "-p", "epochs=40"]).stdout;
    assert!(timeless(&plan).contains("pack  pack  run  not known  it has not run before"), "{plan}");
}

#[test]
fn the_readme_lists_every_command_and_exit_code() {
    let text = readme();
    let help = Project::new().packtrain(&["--help"]).stdout;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help") {
        assert!(text.contains(&format!("| `{command}")), "{command} is not in the README");
    }
    for code in ["0 done", "1 a stage failed", "2 wrong command line", "3 wrong manifest", "4 the cache", "5 a result", "130 interrupted"] {
        assert!(text.contains(code), "{code}");
    }
}
