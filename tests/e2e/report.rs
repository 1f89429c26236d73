//! The page that `packtrain report` writes: whole, harmless, and in need of nothing.

use std::collections::BTreeMap;
use std::fs;

use packtrain::artifact::{History, HistoryEpoch, ImagesFile, Predictions};

use crate::harness::Project;

/// A pipeline without a network: what a training and an evaluation would give is made by [`experiment`] and copied by commands.
const MANIFEST: &str = "
name: shapes
description: \"<b>bold</b> & 'quoted'\"
seed: 3
params: { size: 24, history: history-1.json }
stages:
  pack: { kind: pack, images: images, size: '${size}', split: { val: 0.2, test: 0.4 } }
  mean: { kind: compute-mean, images: pack.train, per: pixel }
  train:
    kind: command
    run: cp {inputs.history} {outputs.history}
    inputs: { images: pack.train, mean: mean, history: { file: '${history}' } }
    outputs: { history: { type: history, file: history.json } }
  eval:
    kind: command
    run: cp {inputs.evaluation} {outputs.evaluation}; cp {inputs.predictions} {outputs.predictions}
    inputs: { images: pack.test, trained: train, evaluation: { file: evaluation.json }, predictions: { file: predictions.csv } }
    outputs: { evaluation: { type: evaluation, file: evaluation.json }, predictions: { type: predictions, file: predictions.csv } }
";

/// A class that would be a script if it were not escaped.
pub const HOSTILE: &str = "<script>alert('&')<";

/// A project after two runs of the pipeline with different histories.
pub fn experiment() -> Project {
    let project = Project::with_images(15);
    fs::rename(project.path("images/cross"), project.path("images").join(HOSTILE)).unwrap();
    project.write("shapes.yaml", MANIFEST);
    for (name, epochs, slowness) in [("history-1.json", 6, 1.0), ("history-2.json", 9, 1.6)] {
        history(epochs, slowness).write(&project.path(name)).unwrap();
    }
    project.write("evaluation.json", "").write("predictions.csv", "");
    project.run(&["shapes.yaml", "--until", "pack"]);
    evaluate(&project);
    project.run(&["shapes.yaml"]);
    project.run(&["shapes.yaml", "-p", "history=history-2.json"]);
    project
}

fn history(epochs: u32, slowness: f64) -> History {
    let epoch = |epoch: u32| HistoryEpoch {
        epoch,
        learning_rate: if epoch > 4 { 1e-4 } else { 1e-2 },
        train_loss: slowness * 2.0 / f64::from(epoch),
        train_accuracy: 1.0 - slowness * 0.5 / f64::from(epoch),
        val_loss: Some(slowness * 2.2 / f64::from(epoch)),
        val_accuracy: Some(0.9 - slowness * 0.5 / f64::from(epoch)),
    };
    History { epochs: (1..=epochs).map(epoch).collect() }
}

/// Writes what an evaluation of the packed test images would give, right about two of three.
fn evaluate(project: &Project) {
    let images = ImagesFile::open(&project.path("output/shapes/pack/test.h5")).unwrap();
    let class_names = &images.rows().label_names;
    let classes = class_names.len();
    let mut probabilities = Vec::new();
    for (row, label) in images.rows().labels.iter().enumerate() {
        let predicted = if row % 3 == 0 { (*label as usize + 1 + row % 2) % classes } else { *label as usize };
        let sure = 0.5 + (row % 5) as f32 / 11.0;
        probabilities.extend((0..classes).map(|class| if class == predicted { sure } else { (1.0 - sure) / (classes - 1) as f32 }));
    }
    let predictions = Predictions { probabilities: &probabilities, rows: images.rows(), class_names };
    predictions.write_csv(&project.path("predictions.csv")).unwrap();
    predictions.evaluate().write(&project.path("evaluation.json")).unwrap();
}

/// The report of some runs.
pub fn report(project: &Project, runs: &[&str]) -> String {
    let output = project.packtrain(&[&["report", "--output", "report.html"], runs].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.starts_with("report.html: "), "{}", output.stdout);
    String::from_utf8(project.read("report.html")).unwrap()
}

pub fn runs(project: &Project) -> Vec<String> {
    let mut runs: Vec<String> = crate::harness::sorted(&project.path(".packtrain/runs"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    runs.sort();
    runs
}

/// Every tag is closed in the order of opening, every id is given once, and what refers to an id refers to one that is there.
fn assert_well_formed(page: &str) {
    const VOID: [&str; 5] = ["meta", "img", "br", "link", "input"];
    let body = regex::Regex::new(r"(?s)<(style|script)>.*?</(style|script)>").unwrap().replace_all(page, "");
    let mut open: Vec<String> = Vec::new();
    for tag in regex::Regex::new(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>").unwrap().captures_iter(&body) {
        let name = tag[2].to_lowercase();
        if &tag[1] == "/" {
            assert_eq!(open.pop().as_ref(), Some(&name), "{}", &tag[0]);
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new());
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for id in regex::Regex::new(r#" id="([^"]*)""#).unwrap().captures_iter(page) {
        *ids.entry(id.get(1).unwrap().as_str()).or_default() += 1;
    }
    assert!(ids.len() >= 5 && ids.iter().all(|(id, count)| *count == 1 && !id.contains(' ')), "{ids:?}");
    for reference in regex::Regex::new(r##"(?:href="#|aria-labelledby=")([^"]*)""##).unwrap().captures_iter(page) {
        assert!(ids.contains_key(&reference[1]), "{}", &reference[1]);
    }
}

fn assert_needs_nothing(page: &str) {
    for sources in regex::Regex::new(r#" (?:src|href|data|action|srcset|poster)="([^"]*)""#).unwrap().captures_iter(page) {
        assert!(sources[1].starts_with("data:image/") || sources[1].starts_with('#'), "{}", &sources[0]);
    }
    for reference in ["://", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains(r#"<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-"#));
}

#[test]
fn the_report_of_a_run_shows_all_that_it_made() {
    let project = experiment();
    let page = report(&project, &[]);
    assert_well_formed(&page);
    assert_needs_nothing(&page);
    for heading in ["Stages", "Training", "Evaluation", "Images", "Provenance"] {
        assert!(regex::Regex::new(&format!(r"<h2 id=[^>]*>{heading}</h2>")).unwrap().is_match(&page), "{heading}");
    }
    let part = |text: &str| assert!(page.contains(text), "{text}");
    // The graph, with what was reused and what ran.
    part("pack (pack): reused.");
    part("train (command, after mean and pack): ran in ");
    part("Loss over the epochs. training: 3.2 in epoch 1");
    part("<figcaption>Learning rate</figcaption>");
    part("Rank-1 <strong>66.67 %</strong>");
    part("Confusion matrix");
    part(">precision</th>");
    part("The most confident");
    part("Some of the images as they were packed, 24 × 24 pixels.");
    part("the mean of all training images, pixel by pixel");
    part("history-2.json");
    part("&lt;b&gt;bold&lt;/b&gt; &amp; 'quoted'");
    let key = regex::Regex::new(r#"<code class="hash">[0-9a-f]{64}</code>"#).unwrap();
    assert!(key.find_iter(&page).count() > 10);
    let pictures = page.matches("<img ").count();
    assert_eq!((page.matches("<img src=\"data:image/png;base64,").count(), page.matches("no picture").count()), (pictures, 0));
    assert!(pictures > 15, "{pictures}");
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
}

#[test]
fn whatever_a_class_is_called_it_is_text() {
    let project = experiment();
    let page = report(&project, &["last"]);
    assert!(page.contains("&lt;script&gt;alert('&amp;')&lt;"), "the class");
    assert!(!page.contains(HOSTILE));
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
}

#[test]
fn runs_are_compared_at_equal_epochs_and_by_the_parameters_that_differ() {
    let project = experiment();
    let runs = runs(&project);
    let page = report(&project, &[&runs[1], &runs[2]]);
    assert_well_formed(&page);
    assert_needs_nothing(&page);
    assert!(page.contains("shapes: 2 runs compared"));
    assert!(page.contains("At epoch 6, the last that all of them have"));
    assert!(page.contains("Validation accuracy over the epochs. "));
    let differing = page.split("Parameters that differ").nth(2).unwrap().split("</table>").next().unwrap();
    assert!(differing.contains("<th scope=\"row\">history</th>") && differing.contains("history-2.json"), "{differing}");
    assert!(!differing.contains(">size<") && !differing.contains("pack."), "{differing}");
    // A page and `packtrain metrics` compare the same.
    let columns = project.packtrain(&["metrics", &runs[1], &runs[2], "--format", "json"]).stdout;
    let columns: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&columns).unwrap();
    let params = columns[0].keys().filter(|name| !name.contains(' ') && *name != "run");
    assert!(params.clone().count() > 0 && params.clone().all(|name| differing.contains(&format!("<th scope=\"row\">{name}</th>"))));
    assert_eq!(differing.matches("<tr>").count(), params.count() + 1, "{differing}");
}

#[test]
fn what_is_no_longer_in_the_cache_is_said_to_be_gone_and_output_is_never_asked() {
    let project = experiment();
    let record: serde_json::Value = serde_json::from_slice(&project.read(&format!(".packtrain/runs/{}.json", runs(&project)[2]))).unwrap();
    let stage = record["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "train").unwrap();
    let action: serde_json::Value =
        serde_json::from_slice(&project.read(&format!(".packtrain/actions/{}.json", stage["key"].as_str().unwrap()))).unwrap();
    let digest = action["outputs"]["history"]["digest"].as_str().unwrap();
    fs::remove_file(project.path(&format!(".packtrain/objects/{}/{}", &digest[..2], &digest[2..]))).unwrap();
    assert!(project.path("output/shapes/train/history.json").exists());
    let page = report(&project, &[]);
    assert!(page.contains("<strong>train: </strong>The history cannot be shown: the file is no longer in the cache."));
    assert!(page.contains("<strong>, no longer in the cache</strong>") && !page.contains("Loss over the epochs"));
    fs::remove_dir_all(project.path(".packtrain/actions")).unwrap();
    let page = report(&project, &[]);
    assert_eq!(page.matches("Its result is no longer in the cache, or never was.").count(), 4);
    assert_well_formed(&page);
}

#[test]
fn a_failed_run_is_reported_with_its_error() {
    let project = Project::with_images(4);
    project.write("shapes.yaml", "name: shapes\nstages:\n  pack: { kind: pack, images: images, size: 8, split: { test: 5 } }\n  mean: { kind: compute-mean, images: pack.train }\n");
    project.write("images/circle/broken <i>.jpg", "no picture");
    assert_eq!(project.packtrain(&["run", "shapes.yaml"]).code, 1);
    let page = report(&project, &[]);
    assert_well_formed(&page);
    assert!(page.contains("✗ failed</span>") && page.contains("<strong>pack failed: </strong>") && page.contains("broken &lt;i&gt;.jpg"));
    assert!(page.contains("mean (compute-mean, after pack): not run."));
    assert!(!page.contains("href=\"#s0-training\""));
}

#[test]
fn a_run_that_is_not_there_is_a_wrong_command_line() {
    let output = Project::new().packtrain(&["report", "nothing"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.starts_with("error: there is no run `nothing`"), "{}", output.stderr);
}
