//! What models say of images, in evaluations and when they are asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::Project;

/// The stages of `pipelines/demo.yaml` on few images, and an evaluation of whole images; run once.
fn project() -> Project {
    let project = Project::with_images(10);
    let demo = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml")).unwrap();
    project.write("demo.yaml", &format!("{demo}  whole: {{ kind: evaluate, images: pack.test, model: train }}\n"));
    project.run(&["demo.yaml", "-p", "images=images", "-p", "epochs=1"]);
    project
}

/// The columns of a table that tell a class's probability, as they are written, by the rows' paths.
fn probabilities(csv: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let first = header.iter().position(|name| name.starts_with("p(")).unwrap();
    assert_eq!(header[first..].len(), 5, "{header:?}");
    lines.map(|line| (line[0].to_owned(), line[first..].iter().map(|cell| (*cell).to_owned()).collect())).collect()
}

fn evaluated(project: &Project, stage: &str) -> BTreeMap<String, Vec<String>> {
    probabilities(&String::from_utf8(project.read(&format!("output/demo/{stage}/predictions.csv"))).unwrap())
}

#[test]
fn a_prediction_of_a_packed_image_is_what_its_evaluation_says() {
    let project = project();
    let cases: [(&[&str], &str); 3] = [(&["train"], "whole"), (&["train", "--crops", "10"], "ten-crop"), (&["classifier"], "eval")];
    for (model, stage) in cases {
        let evaluated = evaluated(&project, stage);
        let asked = project.packtrain(&[&["predict", model[0], "images", "--csv", "--device", "cpu"], &model[1..]].concat());
        assert_eq!(asked.code, 0, "{}", asked.stderr);
        let predicted = probabilities(&asked.stdout);
        assert_eq!((predicted.len(), evaluated.len()), (50, 10));
        for (path, probabilities) in &evaluated {
            assert_eq!(predicted[&format!("images/{path}")], *probabilities, "{stage}: {path}");
        }
        // Alone, an image gets the same bits as among others.
        let (path, probabilities_of_first) = evaluated.first_key_value().unwrap();
        let alone = project.packtrain(&[&["predict", model[0], &format!("images/{path}"), "--csv"], &model[1..]].concat());
        assert_eq!(probabilities(&alone.stdout)[&format!("images/{path}")], *probabilities_of_first, "{stage}");
    }
    // The file alone knows as much.
    let of_stage = project.packtrain(&["predict", "train", "images", "--json"]).stdout;
    assert_eq!(project.packtrain(&["predict", "output/demo/train/model.safetensors", "images", "--json"]).stdout, of_stage);
    let told: Value = serde_json::from_str(&of_stage).unwrap();
    assert_eq!((told["images"].as_array().unwrap().len(), told["classes"].as_array().unwrap().len()), (50, 5));
}

#[test]
fn images_that_cannot_be_read_are_named_and_the_others_go_on() {
    let project = project();
    let image = crate::harness::sorted(&crate::harness::sorted(&project.path("images"))[0]).remove(0);
    fs::copy(&image, project.path("one.png")).unwrap();
    project.write("broken.jpg", "no image").write("empty/notes.txt", "");
    let asked = project.packtrain(&["predict", "train", "one.png", "broken.jpg", "gone.png", "empty", "--top", "3"]);
    assert_eq!(asked.code, 1);
    let lines: Vec<&str> = asked.stdout.lines().collect();
    assert!(lines[0].starts_with("path     rank  class") && lines.len() == 4, "{}", asked.stdout);
    assert!((1..=3).all(|rank| lines[rank].starts_with(&format!("one.png  {rank}"))), "{}", asked.stdout);
    let expected = "error: broken.jpg: not an image: its first bytes are those of no JPEG, PNG, WebP, BMP or GIF\n\
                    error: gone.png: there is no such file or folder\nerror: empty: there is no image in it\n";
    assert_eq!(asked.stderr, expected);
}

#[test]
fn what_cannot_be_asked_is_told_with_what_to_do() {
    let project = project();
    let told = |arguments: &[&str]| {
        let output = project.packtrain(&[&["predict"], arguments].concat());
        assert_eq!(output.code, 2, "{}", output.stderr);
        output.stderr
    };
    assert!(told(&["pack", "images"]).contains("pack gave no model in that run"));
    assert!(told(&["trian", "images"]).contains("did you mean `train`?"));
    let file = told(&["output/demo/classifier/model.safetensors", "images"]);
    assert!(file.contains("name the stage that trained it instead of its file"), "{file}");
    assert!(told(&["classifier", "images", "--crops", "10"]).contains("crops are for networks"));
}
