//! `extends`: a manifest as the differences from another one.
//!
//! Maps are merged deeply; lists and scalars are replaced; an empty value takes the key of the other manifest away. `name`
//! and `description` belong to one file and are not taken over. Of a choice such as `model`, a form that the extending
//! manifest writes replaces the other one's form: see [`super::shape`].

use std::io;
use std::path::Path;

use super::diagnostic::Diagnostic;
use super::node::{Entry, Map, Node, Value};
use super::source::{SourceId, Sources, Span, normalize};
use super::yaml;
use crate::nearest::sibling;

/// Reads a manifest and everything that it extends into one tree, whose root is a map.
pub(super) fn read(path: &Path, sources: &mut Sources, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    Chain { sources, problems, links: Vec::new() }.read(path, None)
}

/// The files read so far, each extended by the one before it.
struct Chain<'a> {
    sources: &'a mut Sources,
    problems: &'a mut Vec<Diagnostic>,
    links: Vec<SourceId>,
}

impl Chain<'_> {
    fn read(&mut self, path: &Path, asked_by: Option<Span>) -> Option<Node> {
        if let (Some(asked_by), Some(first)) = (asked_by, self.sources.find_file(path)) {
            self.problems.push(self.cycle(asked_by, first));
            return None;
        }
        let source = match self.sources.read(path) {
            Ok(source) => source,
            Err(error) => {
                self.problems.push(self.unreadable(path, &error, asked_by));
                return None;
            }
        };
        self.links.push(source);
        let mut node = yaml::parse(self.sources, source, self.problems)?;
        let Value::Map(map) = &mut node.value else {
            self.problems.push(Diagnostic::at(node.span, format!("a manifest is a map of keys, but this is {}", node.describe())));
            return None;
        };
        match map.remove("extends") {
            None => Some(node),
            Some(extends) => self.extend(path, &extends.node, node),
        }
    }

    fn extend(&mut self, path: &Path, extends: &Node, node: Node) -> Option<Node> {
        let Some(written) = extends.as_str() else {
            self.problems.push(Diagnostic::of(extends, format!("`extends` must be the path of a manifest, not {}", extends.describe())));
            return None;
        };
        let base_path = normalize(&path.parent().unwrap_or(Path::new("")).join(written));
        let mut base = self.read(&base_path, Some(extends.span))?;
        if let Value::Map(map) = &mut base.value {
            map.remove("name");
            map.remove("description");
        }
        Some(merge(base, node))
    }

    fn cycle(&self, asked_by: Span, first: SourceId) -> Diagnostic {
        let from = self.links.iter().position(|link| *link == first).unwrap_or_default();
        let mut names: Vec<&str> = self.links[from..].iter().map(|link| self.sources.get(*link).name.as_str()).collect();
        names.push(&self.sources.get(first).name);
        Diagnostic::at(asked_by, format!("manifests extend each other in a circle: {}", names.join(" -> ")))
    }

    fn unreadable(&self, path: &Path, error: &io::Error, asked_by: Option<Span>) -> Diagnostic {
        let title = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no manifest `{}`", path.display()),
            _ => format!("cannot read the manifest `{}`: {error}", path.display()),
        };
        let diagnostic = match asked_by {
            Some(place) => Diagnostic::at(place, title),
            None => Diagnostic::anywhere(title),
        };
        diagnostic.help(sibling(&self.sources.absolute(path), path))
    }
}

/// `over` on top of `base`.
fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Map(base_map), Value::Map(over_map)) => Node { value: Value::Map(merge_maps(base_map, over_map)), ..over },
        (_, value) => Node { value, ..over },
    }
}

fn merge_maps(mut base: Map, over: Map) -> Map {
    for entry in over.0 {
        let below = base.remove_at(&entry.key);
        match below {
            None => base.0.push(entry),
            Some(_) if entry.node.is_null() => {}
            Some((index, below)) => base.0.insert(index, Entry { node: merge(below.node, entry.node), ..entry }),
        }
    }
    base
}
