//! A real browser looks at the pages of `packtrain report` and `packtrain ui`.
//!
//! `make test-browser` fetches one and runs these tests; `cargo test` alone leaves them out.

use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::report::{experiment, report, runs};

#[test]
#[ignore = "needs a Chromium; `make test-browser` fetches one"]
fn the_page_looks_right_at_every_width_in_light_and_dark() {
    let project = experiment();
    let runs = runs(&project);
    let mut browser = Browser::start();
    for (name, runs) in [("run", vec!["last"]), ("comparison", vec![runs[1].as_str(), runs[2].as_str()])] {
        report(&project, &runs);
        browser.look(1440, "light");
        browser.open(&project.path("report.html"));
        browser.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        for width in [390, 1440] {
            for scheme in ["light", "dark"] {
                browser.look(width, scheme);
                let at = format!("{name} at {width} pixels, {scheme}");
                browser.assert_looks_right(&at);
                let paper = browser.evaluate("getComputedStyle(document.body).backgroundColor");
                assert_eq!(paper, if scheme == "light" { "rgb(255, 255, 255)" } else { "rgb(20, 23, 27)" }, "{at}");
                browser.keep_picture(&format!("{name}-{width}-{scheme}"));
            }
        }
    }
    assert_eq!(browser.complaints, Vec::<Value>::new());
}

#[test]
#[ignore = "needs a Chromium; `make test-browser` fetches one"]
fn tables_are_sorted_by_a_click_and_by_the_keyboard() {
    let project = experiment();
    report(&project, &[]);
    let mut browser = Browser::start();
    browser.look(1440, "light");
    browser.open(&project.path("report.html"));
    browser.evaluate("document.querySelectorAll('table.sortable').forEach((table, index) => { table.id = 'table-' + index; })");
    let table = browser.evaluate("[...document.querySelectorAll('table.sortable')].findIndex((t) => t.textContent.includes('recall'))");
    let table = format!("#table-{table}");
    let column = |browser: &mut Browser, index: usize| {
        let cells = format!("[...document.querySelectorAll('{table} tbody tr')].map((row) => row.cells[{index}].textContent)");
        let cells = browser.evaluate(&cells);
        cells.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let order = |browser: &mut Browser| {
        browser.evaluate(&format!("[...document.querySelectorAll('{table} th[aria-sort]')].map((h) => h.ariaSort)"))
    };
    let names = column(&mut browser, 0);
    assert_eq!(order(&mut browser), json!(["none", "none", "none", "none", "none"]));

    browser.click(&format!("{table} thead th:nth-child(3) button"));
    assert_eq!(order(&mut browser), json!(["none", "none", "ascending", "none", "none"]));
    let recalls = |browser: &mut Browser| -> Vec<f64> {
        column(browser, 2).iter().map(|cell| cell.trim_end_matches(" %").parse().unwrap()).collect()
    };
    let rising = recalls(&mut browser);
    assert!(rising.is_sorted() && rising.first() < rising.last(), "{rising:?}");
    browser.click(&format!("{table} thead th:nth-child(3) button"));
    assert!(recalls(&mut browser).iter().rev().is_sorted());

    // Back to the first header, from the skip link's neighbours on, by the keyboard alone.
    browser.evaluate(&format!("document.querySelector('{table} thead th:nth-child(2) button').focus()"));
    browser.evaluate("new Promise((done) => setTimeout(done, 50))");
    browser.press("Tab", 9, "");
    browser.press("Tab", 9, "");
    let focused = browser.evaluate("[document.activeElement.textContent, document.activeElement.matches(':focus-visible'), getComputedStyle(document.activeElement).outlineStyle]");
    assert_eq!(focused, json!(["F1", true, "solid"]));
    browser.press("Enter", 13, "\r");
    assert_eq!(order(&mut browser), json!(["none", "none", "none", "ascending", "none"]));
    browser.click(&format!("{table} thead th:nth-child(1) button"));
    let mut sorted = names;
    sorted.sort_by_key(|name| name.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    let mut found = column(&mut browser, 0);
    found.sort_by_key(|name| name.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase());
    assert_eq!(found, sorted);
    assert_eq!(order(&mut browser)[0], "ascending");

    browser.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
    assert_eq!(browser.evaluate("document.querySelector('a').textContent"), "Skip to the results");
    assert_eq!(browser.complaints, Vec::<Value>::new());
}

/// A training that goes on until it is stopped.
#[cfg(feature = "torch")]
const TRAINING: &str = "
name: long
description: A training to look at
seed: 4
stages:
  pack: { kind: pack, images: images, size: 20, split: { val: 0.2, test: 0.2 } }
  mean: { kind: compute-mean, images: pack.train }
  train:
    kind: train
    train: pack.train
    val: pack.val
    mean: mean
    model: mini-googlenet
    input: { size: 16, train: random-crop, eval: resize, scale: 0.0078125 }
    optimizer: { sgd: { lr: 0.01, momentum: 0.9 } }
    schedule: { cosine: {} }
    batch: 16
    epochs: 2000
  eval: { kind: evaluate, images: pack.test, model: train }
";

#[cfg(feature = "torch")]
#[test]
#[ignore = "needs a Chromium; `make test-browser` fetches one"]
fn a_page_follows_a_training_without_being_loaded_again() {
    const COURSE: &str = "[...document.querySelectorAll('#part-s0-training path.line')].map((line) => line.getAttribute('d')).join()";
    const OPENED: &str =
        "document.querySelector('#part-s0-training details').open && document.querySelector('#part-s0-training th').ariaSort";
    let project = crate::harness::Project::with_images(12);
    project.write("long.yaml", TRAINING);
    let mut run = project.listen(&["run", "long.yaml", "--json"]);
    run.hear("\"event\":\"epoch\"");
    let ui = crate::ui::Ui::start(&project, &["--port", "0"]);
    let mut browser = Browser::start();
    browser.look(1440, "light");
    browser.visit(&ui.url);
    browser.wait_for("document.querySelectorAll('table.runs .going').length === 1");
    looks_right(&mut browser, "list");
    let link = browser.evaluate("document.querySelector('table.runs a').href");
    browser.visit(link.as_str().unwrap());
    browser.wait_for("document.querySelector('#connection').textContent === 'live'");
    browser.wait_for("document.querySelectorAll('#part-s0-training circle').length > 4");

    browser.evaluate("window.mark = 'not loaded again'; document.querySelector('#part-s0-training details').open = true");
    browser.click("#part-s0-training th button");
    browser.evaluate("document.querySelector('#part-s0-training .scroll').focus({ preventScroll: true }); 0");
    let before = browser.evaluate(COURSE);
    browser.wait_for(&format!("{COURSE} !== {before}"));
    assert_eq!(browser.evaluate("window.mark"), "not loaded again");
    assert_eq!(browser.evaluate(OPENED), "ascending", "what was opened and sorted stays so");
    assert_eq!(browser.evaluate("document.activeElement.matches('#part-s0-training .scroll')"), json!(true));
    for measure in ["time left", "images/s", "loss", "val accuracy", "learning rate"] {
        browser.wait_for(&format!("[...document.querySelectorAll('#now dt')].some((dt) => dt.textContent === {measure:?})"));
    }
    looks_right(&mut browser, "running");

    run.interrupt();
    browser.wait_for("document.querySelector('.outcome').textContent === 'interrupted'");
    browser.wait_for("document.querySelector('#connection').textContent === '' && !document.querySelector('#now')");
    assert_eq!(browser.evaluate("window.mark"), "not loaded again");
    assert!(browser.evaluate("document.querySelectorAll('#part-s0-training path.line').length").as_u64() > Some(2), "the epochs stay");
    looks_right(&mut browser, "interrupted");
    assert_eq!(browser.complaints, Vec::<Value>::new());
}

#[cfg(feature = "torch")]
fn looks_right(browser: &mut Browser, name: &str) {
    for (width, scheme) in [(390, "light"), (390, "dark"), (1440, "dark"), (1440, "light")] {
        browser.look(width, scheme);
        browser.assert_looks_right(&format!("{name} at {width} pixels, {scheme}"));
        browser.keep_picture(&format!("ui-{name}-{width}-{scheme}"));
    }
}
