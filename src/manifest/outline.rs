//! What a manifest names, as far as it can be read: for a shell that completes words while the manifest is still being written.
//!
//! Reports no problem; checks nothing.

use std::path::Path;

use super::extends;
use super::matrix::Matrix;
use super::node::{Entry, Node, Value};
use super::source::Sources;

/// The names in a manifest, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// As it is written; the file's name where none is.
    pub name: String,
    pub description: Option<String>,
    /// Each with its kind, if that is a text.
    pub stages: Vec<(String, Option<String>)>,
    /// Each with its value, written out.
    pub params: Vec<(String, String)>,
    /// The variants of the matrix.
    pub variants: Vec<String>,
}

impl Outline {
    /// Reads a manifest and what it extends; `None` for a file that is no manifest. `path` starts from `current_dir`.
    pub fn read(path: &Path, current_dir: &Path) -> Option<Outline> {
        let (mut sources, mut problems) = (Sources::new(current_dir), Vec::new());
        let root = extends::read(path, &mut sources, &mut problems)?;
        let section = |name: &str| root.as_map().and_then(|map| map.get(name)).and_then(Node::as_map).map(|map| map.0.as_slice());
        let stages = section("stages")?;
        let matrix = Matrix::read(&root, &sources, &mut problems);
        let text = |name: &str| root.as_map().and_then(|map| map.get(name)).and_then(Node::as_str).map(str::to_owned);
        Some(Outline {
            name: text("name").unwrap_or_else(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned()),
            description: text("description"),
            stages: stages.iter().map(stage).collect(),
            params: section("params").unwrap_or_default().iter().map(|entry| (entry.key.clone(), written_out(&entry.node))).collect(),
            variants: matrix.variants().map(|variant| variant.name.to_string()).collect(),
        })
    }
}

fn stage(entry: &Entry) -> (String, Option<String>) {
    let kind = entry.node.as_map().and_then(|stage| stage.get("kind")).and_then(Node::as_str);
    (entry.key.clone(), kind.map(str::to_owned))
}

fn written_out(node: &Node) -> String {
    match &node.value {
        Value::String(text) => text.clone(),
        _ => node.to_json().to_string(),
    }
}
