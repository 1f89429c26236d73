//! What no compiler checks: which module may use which, who owns a library, and how files look.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Lines of a source file, its unit tests included; tables of cases under `tests/` may be longer.
const MAX_LINES: usize = 600;

/// Uses that the reading order would allow, but that would tie together what must stay apart.
const FORBIDDEN_USES: [(&str, &str, &str); 8] = [
    ("exec", "report", "running tells events and never prints"),
    ("ui", "exec", "what is looked at is not run"),
    ("ui", "manifest", "runs are known by what they have written"),
    ("report", "cache", "a report is made from events and records alone"),
    ("worker", "manifest", "the worker sees its job, not the pipeline"),
    ("worker", "plan", "the worker sees its job, not the pipeline"),
    ("worker", "cache", "the worker sees its job, not where results are kept"),
    ("worker", "exec", "the worker sees its job, not the run"),
];

/// The one module that names a library.
const LIBRARY_OWNERS: [(&str, &str); 24] = [
    ("annotate_snippets", "manifest"),
    ("axum", "ui"),
    ("base64", "report"),
    ("blake3", "key"),
    ("clap", "cli"),
    ("console", "report"),
    ("crc32c", "tensorboard"),
    ("csv", "artifact"),
    ("hdf5", "artifact"),
    ("image", "artifact"),
    ("indicatif", "report"),
    ("notify", "watch"),
    ("maud", "report"),
    ("object_store", "remote"),
    ("petgraph", "plan"),
    ("reflink_copy", "cache"),
    ("plotters", "artifact"),
    ("prost", "tensorboard"),
    ("rustls", "remote"),
    ("safetensors", "artifact"),
    ("serde_saphyr", "manifest"),
    ("shlex", "report"),
    ("sha2", "report"),
    ("tch", "worker"),
];

/// A source file of the library or of a program.
struct Source {
    /// Relative to the root.
    path: String,
    /// The top-level module: `key`, `cli`; `worker` for the worker's own tree, `main` and `lib` for the roots.
    module: String,
    text: String,
}

impl Source {
    /// The code without comments.
    fn code(&self) -> String {
        self.text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn a_module_uses_only_modules_above_it_in_the_reading_order() {
    let order = reading_order();
    let level = |module: &str| order.iter().position(|other| other == module);
    let used = Regex::new(r"\b(?:crate|packtrain)::([a-z_]+)").unwrap();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.module.as_str(), "lib" | "main")) {
        for name in used.captures_iter(&source.code()).map(|found| found[1].to_owned()) {
            let Some(level_used) = level(&name) else { continue };
            let climbs = level(&source.module).is_some_and(|own| own < level_used);
            let reason = FORBIDDEN_USES.iter().find(|(user, target, _)| *user == source.module && *target == name);
            if let Some((_, _, reason)) = reason {
                wrong.push(format!("{} uses {name}: {reason}", source.path));
            } else if climbs {
                wrong.push(format!("{} uses {name}, which stands below it", source.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_module_stands_in_both_tables() {
    let declared = Regex::new(r"(?m)^pub mod ([a-z_]+);").unwrap();
    let lib = read("src/lib.rs");
    let mut modules: Vec<String> = declared.captures_iter(&lib).map(|found| found[1].to_owned()).collect();
    let mut described = code_map();
    let mut ordered = reading_order();
    modules.sort();
    described.sort();
    ordered.sort();
    assert_eq!(ordered, modules, "the table in src/lib.rs");
    assert_eq!(described, modules, "the code map in docs/ARCHITECTURE.md");
}

#[test]
fn a_library_is_named_by_one_module() {
    let mut wrong = Vec::new();
    for source in sources() {
        let code = source.code();
        for (library, owner) in LIBRARY_OWNERS {
            let named = Regex::new(&format!(r"(?m)(?:^|[^A-Za-z0-9_:]){library}::|\buse {library}\b")).unwrap();
            if source.module != owner && named.is_match(&code) {
                wrong.push(format!("{} names {library}, which belongs to {owner}", source.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_source_file_begins_with_what_it_is_for() {
    let without: Vec<_> = rust_files().into_iter().filter(|path| !read(path).starts_with("//! ")).collect();
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<_> = sources().into_iter().filter(|source| source.text.lines().count() > MAX_LINES).map(|source| source.path).collect();
    assert_eq!(long, Vec::<String>::new(), "more than {MAX_LINES} lines");
}

#[test]
fn no_module_is_a_drawer_for_anything() {
    let drawer = Regex::new(r"(^|/)(utils?|helpers?|common|types|misc)(\.rs|/)").unwrap();
    let drawers: Vec<_> = rust_files().into_iter().filter(|path| drawer.is_match(path)).collect();
    assert_eq!(drawers, Vec::<String>::new());
}

#[test]
fn nothing_is_left_to_do_later() {
    let unfinished = Regex::new(r"\b(todo|unimplemented)!|\b(TODO|FIXME|XXX)\b").unwrap();
    let found: Vec<_> = sources().into_iter().filter(|source| unfinished.is_match(&source.text)).map(|source| source.path).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    let place = Regex::new(r#"(?m)(?:^|[\s"'`=(<])/(?:home|root|Users|work|mnt)/"#).unwrap();
    let naming: Vec<_> = text_files().into_iter().filter(|path| path != "tests/tidy.rs" && place.is_match(&read(path))).collect();
    assert_eq!(naming, Vec::<String>::new());
}

#[test]
fn the_architecture_is_short_and_names_only_what_exists() {
    let text = read("docs/ARCHITECTURE.md");
    assert!(text.lines().count() < 200);
    let named = Regex::new(r"`((?:src|tests|docs|scripts|schemas|pipelines)/[A-Za-z0-9_./-]*)`").unwrap();
    let missing: Vec<_> = named.captures_iter(&text).map(|found| found[1].to_owned()).filter(|path| !root().join(path).exists()).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The modules of the table in `src/lib.rs`, in its order.
fn reading_order() -> Vec<String> {
    first_cells(&read("src/lib.rs"), r"(?m)^//! \| \[`([a-z_]+)`\] \|")
}

/// The modules of the code map in `docs/ARCHITECTURE.md`.
fn code_map() -> Vec<String> {
    first_cells(&read("docs/ARCHITECTURE.md"), r"(?m)^\| `([a-z_]+)` \| \d \|")
}

fn first_cells(text: &str, row: &str) -> Vec<String> {
    Regex::new(row).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn sources() -> Vec<Source> {
    let paths = rust_files().into_iter().filter(|path| path.starts_with("src/"));
    paths.map(|path| Source { module: top_module(&path), text: read(&path), path }).collect()
}

fn top_module(path: &str) -> String {
    let inner = path.strip_prefix("src/").expect("a source file");
    let first = inner.split('/').next().unwrap().trim_end_matches(".rs");
    if first == "bin" { "worker".to_owned() } else { first.to_owned() }
}

fn rust_files() -> Vec<String> {
    text_files().into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// Every file of the repository that people read, relative to the root.
fn text_files() -> Vec<String> {
    let folders = ["src", "tests", "benches", "docs", "scripts", "pipelines", "schemas", ".ci", ".cargo"];
    let top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file() && !path.ends_with(".git"));
    let nested = folders.iter().flat_map(|folder| walkdir::WalkDir::new(root().join(folder)).into_iter().flatten());
    let files = top.chain(nested.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()));
    let texts: BTreeMap<String, PathBuf> =
        files.filter(|path| fs::read_to_string(path).is_ok()).map(|path| (relative(&path), path)).collect();
    texts.into_keys().collect()
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
