//! `params`: values by name, substituted where `${name}` stands, and overridden from the command line.
//!
//! An override of a parameter that `matrix` varies leaves it that one value, or those of a list.
//!
//! A scalar that is nothing but `${name}` becomes the parameter's value, whatever its type; inside a longer text the value is
//! written out; `$${` is a plain `${`. A value keeps the place where it was written, and the folder that its relative paths
//! start from.

use std::collections::BTreeMap;
use std::str::FromStr;

use thiserror::Error;

use super::diagnostic::Diagnostic;
use super::node::{Map, Node, Value};
use super::source::{Sources, Span};
use super::yaml;
use crate::nearest::suggestion;

/// A parameter's value from the command line: `name=value`, the value as YAML would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    name: String,
    value: String,
}

/// The text is not `name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not of the form `name=value`")]
pub struct OverrideError(String);

/// All values together may grow to so many keys, items and bytes of text.
const LARGEST: usize = 1_000_000;
/// Parameters may be made of others so many levels deep.
const DEEPEST: usize = 16;

/// Puts the values of the command line in the place of the manifest's.
pub(super) fn override_values(root: &mut Node, overrides: &[Override], sources: &mut Sources, problems: &mut Vec<Diagnostic>) {
    let Value::Map(map) = &mut root.value else { return };
    for value in overrides {
        let Some(node) = apply(value, map, sources, problems) else { continue };
        if let Some(varied) = map.get_mut("matrix").and_then(Node::as_map_mut).and_then(|matrix| matrix.get_mut(&value.name)) {
            *varied = match node.value {
                Value::Seq(_) => node,
                _ => Node { value: Value::Seq(vec![node.clone()]), ..node },
            };
        }
    }
}

/// Replaces every `${name}` outside `params`; gives the parameters' values.
pub(super) fn substitute(root: &mut Node, sources: &Sources, problems: &mut Vec<Diagnostic>) -> BTreeMap<String, serde_json::Value> {
    let Value::Map(map) = &mut root.value else { return BTreeMap::new() };
    let section = map.remove("params");
    let written = section.as_ref().and_then(|section| section.node.as_map()).cloned().unwrap_or_default();
    let all = written.0.clone();
    let mut params = Params { written, values: BTreeMap::new(), open: Vec::new(), room: LARGEST, sources, problems };
    for entry in &all {
        params.value_of(&entry.key, &entry.node);
    }
    map.0.iter_mut().for_each(|entry| params.expand(&mut entry.node));
    map.0.extend(section);
    params.values.into_iter().map(|(name, node)| (name, node.to_json())).collect()
}

/// Parameters on the way to their values.
struct Params<'a> {
    written: Map,
    values: BTreeMap<String, Node>,
    /// The parameters whose values are being found, outermost first.
    open: Vec<String>,
    /// How much all values may still grow.
    room: usize,
    sources: &'a Sources,
    problems: &'a mut Vec<Diagnostic>,
}

/// A piece of a text with parameters in it.
#[derive(Debug, PartialEq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Param(&'a str),
    /// `${` without `}`.
    Unclosed,
}

impl Params<'_> {
    /// Replaces every `${name}` in the tree.
    fn expand(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Seq(items) => items.iter_mut().for_each(|item| self.expand(item)),
            Value::Map(map) => map.0.iter_mut().for_each(|entry| self.expand(&mut entry.node)),
            Value::String(text) if text.contains("${") => {
                let text = std::mem::take(text);
                self.expand_text(&text, node);
            }
            _ => {}
        }
    }

    fn expand_text(&mut self, text: &str, node: &mut Node) {
        let parts = parts(text);
        if let [Part::Param(name)] = parts[..] {
            let value = self.look_up(name, node.span);
            *node = Node { used_at: Some(node.span), ..value };
        } else {
            self.interpolate(&parts, node);
        }
    }

    fn interpolate(&mut self, parts: &[Part<'_>], node: &mut Node) {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Param(name) => {
                    let value = self.look_up(name, node.span);
                    if text.is_empty() {
                        node.base = value.base;
                    }
                    let Some(piece) = self.written_out(name, &value, node.span) else {
                        node.value = Value::Unknown;
                        return;
                    };
                    text.push_str(&piece);
                }
                Part::Unclosed => {
                    let problem = Diagnostic::at(node.span, "`${` without `}`");
                    self.problems.push(problem.help("write `${name}` for a parameter, `$${` for the characters themselves".to_owned()));
                    node.value = Value::Unknown;
                    return;
                }
            }
        }
        node.value = Value::String(text);
    }

    fn written_out(&mut self, name: &str, value: &Node, place: Span) -> Option<String> {
        match &value.value {
            Value::Unknown => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(value.to_json().to_string()),
            Value::Null | Value::Seq(_) | Value::Map(_) => {
                let title = format!("`{name}` is {} and cannot stand inside a text", value.describe());
                self.problems.push(Diagnostic::at(place, title).also(value.span, "its value"));
                None
            }
        }
    }

    /// The value for a `${name}` at `place`.
    fn look_up(&mut self, name: &str, place: Span) -> Node {
        let unknown = Node::new(Value::Unknown, place);
        let Some(written) = self.written.get(name).cloned() else {
            let names = self.written.0.iter().map(|entry| entry.key.as_str());
            let help = suggestion(name, names, "the parameters are");
            self.problems.push(Diagnostic::at(self.narrowed(name, place), format!("there is no parameter `{name}`")).help(help));
            return unknown;
        };
        if self.open.iter().any(|open| open == name) {
            let circle = self.open.iter().skip_while(|open| *open != name).map(String::as_str).chain([name]);
            let circle = circle.collect::<Vec<_>>().join(" -> ");
            self.problems.push(Diagnostic::at(place, format!("parameters refer to each other in a circle: {circle}")));
            return unknown;
        }
        if self.open.len() >= DEEPEST {
            self.problems.push(Diagnostic::at(place, format!("parameters refer to each other more than {DEEPEST} deep")));
            return unknown;
        }
        let value = self.value_of(name, &written);
        match self.room.checked_sub(value.size()) {
            Some(room) => {
                self.room = room;
                value
            }
            None => {
                self.problems.push(Diagnostic::at(place, "the parameters' values grow too large"));
                unknown
            }
        }
    }

    fn value_of(&mut self, name: &str, written: &Node) -> Node {
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        let mut value = written.clone();
        self.open.push(name.to_owned());
        self.expand(&mut value);
        self.open.pop();
        self.values.insert(name.to_owned(), value.clone());
        value
    }

    /// The place of `${name}` alone, where the text shows it as such.
    fn narrowed(&self, name: &str, place: Span) -> Span {
        let reference = format!("${{{name}}}");
        match self.sources.text(place).find(&reference) {
            Some(offset) => Span { start: place.start + offset, end: place.start + offset + reference.len(), ..place },
            None => place,
        }
    }
}

/// Overrides one parameter; gives its value if there is such a parameter.
fn apply(value: &Override, manifest: &mut Map, sources: &mut Sources, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let prefix = format!("-p {}=", value.name);
    let source = sources.add_argument(format!("{prefix}{}", value.value));
    let place = Span { source, start: prefix.len(), end: prefix.len() + value.value.len() };
    let mut none = Map::default();
    let params = manifest.get_mut("params").and_then(Node::as_map_mut).unwrap_or(&mut none);
    if params.get(&value.name).is_none() {
        let help = suggestion(&value.name, params.0.iter().map(|entry| entry.key.as_str()), "the parameters are");
        let place = Span { source, start: "-p ".len(), end: prefix.len() - 1 };
        problems.push(Diagnostic::at(place, format!("there is no parameter `{}`", value.name)).help(help));
        return None;
    }
    let node = override_value(&value.value, place, sources, problems);
    params.get_mut(&value.name).map(|own| own.clone_from(&node)).map(|()| node)
}

/// A list, a map, a quoted text, a number and the like as YAML reads it; everything else is the text itself, so that a path
/// with `: ` or ` #` in it needs no quotes.
fn override_value(text: &str, place: Span, sources: &Sources, problems: &mut Vec<Diagnostic>) -> Node {
    let parsed = yaml::parse_part(sources, place.source, place.start, problems);
    let is_marked = text.starts_with(['[', '{', '"', '\'']);
    match parsed {
        Some(node) if is_marked || !matches!(node.value, Value::String(_) | Value::Seq(_) | Value::Map(_)) => Node { span: place, ..node },
        None if is_marked => {
            problems.push(Diagnostic::at(place, "this is not a YAML value"));
            Node::new(Value::Unknown, place)
        }
        _ => Node::new(Value::String(text.to_owned()), place),
    }
}

/// The pieces of a text, in order.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        parts.push(Part::Text(before));
        rest = if before.ends_with('$') {
            parts.push(Part::Text("{"));
            after
        } else if let Some((name, after)) = after.split_once('}') {
            parts.push(Part::Param(name));
            after
        } else {
            parts.push(Part::Unclosed);
            ""
        };
    }
    parts.push(Part::Text(rest));
    parts.retain(|part| *part != Part::Text(""));
    parts
}

impl FromStr for Override {
    type Err = OverrideError;

    fn from_str(text: &str) -> Result<Override, OverrideError> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Override { name: name.to_owned(), value: value.to_owned() }),
            _ => Err(OverrideError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_its_parts() {
        assert_eq!(parts("${a}/b ${c}"), [Part::Param("a"), Part::Text("/b "), Part::Param("c")]);
        assert_eq!(parts("$${a}"), [Part::Text("$"), Part::Text("{"), Part::Text("a}")]);
        assert_eq!(parts("^x$"), [Part::Text("^x$")]);
        assert_eq!(parts("${a"), [Part::Unclosed]);
    }
}
