//! `docs/ERRORS.md`: what packtrain says of what is wrong, gathered from the tests that assert those texts.

use std::fs;
use std::path::Path;

const BEGIN: &str = "\
# What packtrain says of a wrong manifest

Every text here is asserted by a test, and this page is made from those tests: `tests/manifest_errors.rs` for what a manifest alone
tells, `tests/validate_world.rs` for what `packtrain validate` finds by a look at the images, the weights and the machine.
";

#[test]
fn the_committed_document_is_that_of_the_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut document = BEGIN.to_owned();
    for (title, file) in [("The manifest", "manifest_errors.rs"), ("The world", "validate_world.rs")] {
        document.push_str(&format!("\n## {title}\n"));
        document.extend(texts(&fs::read_to_string(root.join("tests").join(file)).unwrap()));
    }
    assert!(document.matches("\n### ").count() >= 40);
    let generated = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ERRORS.md");
    fs::write(&generated, &document).unwrap();
    let committed = fs::read_to_string(root.join("docs/ERRORS.md")).unwrap_or_default();
    assert!(committed == document, "docs/ERRORS.md is out of date; the right one is {}", generated.display());
}

/// A section for every test of a file: its name and the texts that it expects.
fn texts(source: &str) -> impl Iterator<Item = String> {
    source.split("\n#[test]\nfn ").skip(1).filter_map(|test| {
        let title = test.split('(').next()?.replace('_', " ");
        let expected = test.split("@r#\"").skip(1).filter_map(|rest| rest.split("\"#").next());
        let blocks: String = expected.map(|text| format!("\n```text\n{}\n```\n", unindented(text))).collect();
        (!blocks.is_empty()).then(|| format!("\n### {}{}\n{blocks}", title[..1].to_uppercase(), &title[1..]))
    })
}

/// The lines without what indents them all.
fn unindented(text: &str) -> String {
    let lines = || text.trim_end().lines().skip_while(|line| line.is_empty());
    let width = lines().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines().map(|line| line.get(width..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
