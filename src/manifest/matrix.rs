//! `matrix`: lists of values for parameters, of which every combination makes a variant of the pipeline.
//!
//! Knows nothing of what a variant's parameters are used for.

use serde_json::Value as Json;

use super::diagnostic::Diagnostic;
use super::node::{Entry, Map, Node, Value};
use super::params;
use super::pipeline::Variant;
use super::source::{Sources, Span};
use crate::key::VariantName;
use crate::nearest::suggestion;

/// More variants than anyone wants to run are a mistake.
const MOST_VARIANTS: usize = 1_000;
/// Bytes of a variant's name, which a file system takes as one folder.
const LONGEST_NAME: usize = 200;

/// The parameters that vary; the first varies slowest. Empty for a manifest without a matrix.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    dimensions: Vec<Dimension>,
}

#[derive(Debug)]
struct Dimension {
    param: String,
    /// At least one.
    values: Vec<Node>,
}

impl Matrix {
    /// Reads the matrix of a manifest. What is wrong with its shape is left to [`super::shape`]: such a value is unknown here.
    pub fn read(root: &Node, sources: &Sources, problems: &mut Vec<Diagnostic>) -> Matrix {
        if root.exactly_at("matrix").is_none() {
            return Matrix::default();
        }
        let mut expanded = root.clone();
        // Every variant's parameters are substituted again, and what is wrong with them is reported then.
        params::substitute(&mut expanded, sources, &mut Vec::new());
        let Some(entry) = expanded.as_map().and_then(|map| map.entry("matrix")) else { return Matrix::default() };
        let known = root.as_map().and_then(|map| map.get("params")).and_then(Node::as_map).cloned().unwrap_or_default();
        let entries = entry.node.as_map().into_iter().flat_map(|map| &map.0);
        let mut matrix = Matrix { dimensions: entries.filter_map(|entry| dimension(entry, &known, problems)).collect() };
        matrix.limit(entry.key_span, problems);
        matrix
    }

    /// Every combination of values: the manifest with those values, and the variant that it is.
    pub fn combinations(&self, root: Node) -> impl Iterator<Item = (Node, Option<Variant>)> {
        std::iter::repeat_n(root, self.count()).enumerate().map(|(index, mut root)| {
            let values = self.combination(index);
            set(&mut root, &values);
            (root, variant(&values))
        })
    }

    /// The variants alone; none for a manifest without a matrix.
    pub fn variants(&self) -> impl Iterator<Item = Variant> {
        (0..self.count()).filter_map(|index| variant(&self.combination(index)))
    }

    fn count(&self) -> usize {
        self.dimensions.iter().fold(1, |count, dimension| count.saturating_mul(dimension.values.len()))
    }

    /// The digits of `index` in the mixed radix of the lists' lengths, the last one lowest.
    fn combination(&self, index: usize) -> Vec<(&str, &Node)> {
        let mut rest = index;
        let mut values = Vec::new();
        for Dimension { param, values: list } in self.dimensions.iter().rev() {
            values.push((param.as_str(), &list[rest % list.len()]));
            rest /= list.len();
        }
        values.reverse();
        values
    }

    /// Reports a matrix that is too large, and cuts it down to one variant.
    fn limit(&mut self, place: Span, problems: &mut Vec<Diagnostic>) {
        let count = self.count();
        let longest = self.dimensions.iter().map(Dimension::longest_name).sum::<usize>();
        if count > MOST_VARIANTS {
            problems.push(Diagnostic::at(place, format!("the matrix makes {count} variants; at most {MOST_VARIANTS} are allowed")));
        } else if longest > LONGEST_NAME {
            let title = format!("the variants of this matrix have names of up to {longest} bytes; at most {LONGEST_NAME} are allowed");
            let help = "a variant is named by its values, and its name is that of a folder; vary a shorter part of a value".to_owned();
            problems.push(Diagnostic::at(place, title).help(help));
        } else {
            return;
        }
        self.dimensions.iter_mut().for_each(|dimension| dimension.values.truncate(1));
    }
}

impl Dimension {
    /// The bytes of its part in a variant's name, with a comma.
    fn longest_name(&self) -> usize {
        let values = self.values.iter().map(|value| written_out(value).len());
        self.param.len() + "=,".len() + values.max().unwrap_or_default()
    }
}

/// A parameter's values; none if it does not vary, or if there is no such parameter.
fn dimension(entry: &Entry, known: &Map, problems: &mut Vec<Diagnostic>) -> Option<Dimension> {
    if entry.node.is_null() {
        return None;
    }
    if known.get(&entry.key).is_none() {
        let help = suggestion(&entry.key, known.0.iter().map(|entry| entry.key.as_str()), "the parameters are");
        let help = help.unwrap_or_else(|| "`matrix` varies parameters that `params` declares".to_owned());
        problems.push(Diagnostic::at(entry.key_span, format!("there is no parameter `{}`", entry.key)).help(help));
        return None;
    }
    let Value::Seq(items) = &entry.node.value else { return Some(Dimension::unknown(entry)) };
    let is_scalar = |item: &&Node| matches!(item.value, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::String(_));
    let values: Vec<Node> = items.iter().filter(is_scalar).cloned().collect();
    problems.extend(alike(&entry.key, &values));
    if values.is_empty() { Some(Dimension::unknown(entry)) } else { Some(Dimension { param: entry.key.clone(), values }) }
}

impl Dimension {
    fn unknown(entry: &Entry) -> Dimension {
        Dimension { param: entry.key.clone(), values: vec![Node::new(Value::Unknown, entry.node.span)] }
    }
}

/// Values that would give the same variant, or two variants of the same name.
fn alike(param: &str, values: &[Node]) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let name = VariantName::sanitized(&written_out(value));
        let earlier = &values[..index];
        if let Some(first) = earlier.iter().find(|first| equal(&first.to_json(), &value.to_json())) {
            let title = format!("`{param}` takes {} twice", value.describe());
            problems.push(Diagnostic::of(value, title).also(first.span, "first given here"));
        } else if let Some(first) = earlier.iter().find(|first| VariantName::sanitized(&written_out(first)) == name) {
            let title = format!("two values of `{param}` make variants of the same name, `{param}={name}`");
            problems.push(Diagnostic::of(value, title).also(first.span, "the other one"));
        }
    }
    problems
}

fn equal(left: &Json, right: &Json) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

/// Puts values in the place of the parameters' own.
fn set(root: &mut Node, values: &[(&str, &Node)]) {
    let Some(params) = root.as_map_mut().and_then(|map| map.get_mut("params")).and_then(Node::as_map_mut) else { return };
    for (param, value) in values {
        if let Some(own) = params.get_mut(param) {
            *own = (*value).clone();
        }
    }
}

fn variant(values: &[(&str, &Node)]) -> Option<Variant> {
    let settings: Vec<(String, String)> = values.iter().map(|(param, value)| ((*param).to_owned(), written_out(value))).collect();
    let name = VariantName::new(settings.iter().map(|(param, value)| (param.as_str(), value.as_str())));
    (!settings.is_empty()).then_some(Variant { name, settings })
}

fn written_out(value: &Node) -> String {
    match &value.value {
        Value::String(text) => text.clone(),
        _ => value.to_json().to_string(),
    }
}
