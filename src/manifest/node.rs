//! YAML as a tree in which every value and every key knows where it was written.
//!
//! Knows nothing of what the keys mean.

use serde::{Serialize, Serializer};

use super::source::{SourceId, Span};

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub value: Value,
    /// Where it was written; of a list or map, the key that holds it.
    pub span: Span,
    /// The `${name}` that stood for it, where it comes from a parameter.
    pub used_at: Option<Span>,
    /// Relative paths start from the folder of this source.
    pub base: SourceId,
}

/// What YAML can say.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    String(String),
    Seq(Vec<Node>),
    Map(Map),
    /// Something that was already reported as wrong.
    Unknown,
}

/// Keys with values, in the order of the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Map(pub Vec<Entry>);

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

impl Node {
    pub fn new(value: Value, span: Span) -> Node {
        Node { value, span, used_at: None, base: span.source }
    }

    /// The value under dotted keys, or the innermost one on the way there that exists.
    pub fn at(&self, path: &str) -> &Node {
        let mut node = self;
        for key in path.split('.').filter(|key| !key.is_empty()) {
            match node.child(key) {
                Some(child) => node = child,
                None => return node,
            }
        }
        node
    }

    /// The value under dotted keys.
    pub fn exactly_at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| node.child(key))
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value as JSON, places left out.
    pub fn to_json(&self) -> serde_json::Value {
        // All keys are texts, so that nothing can fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The value in a sentence, as in "not the text `abc`".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null | Value::Unknown => "empty".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Int(value) => format!("the number {value}"),
            Value::Float(value) => format!("the number {value}"),
            Value::String(text) => format!("the text `{}`", shortened(text)),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a map of keys".to_owned(),
        }
    }

    /// How many values and bytes of text there are in it.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::String(text) => 1 + text.len(),
            Value::Seq(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(map) => 1 + map.0.iter().map(|entry| entry.key.len() + entry.node.size()).sum::<usize>(),
            _ => 1,
        }
    }

    /// Whether a part of it was already reported as wrong.
    pub fn has_unknown(&self) -> bool {
        match &self.value {
            Value::Unknown => true,
            Value::Seq(items) => items.iter().any(Node::has_unknown),
            Value::Map(map) => map.0.iter().any(|entry| entry.node.has_unknown()),
            _ => false,
        }
    }

    fn child(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(map) => map.get(key),
            Value::Seq(nodes) => nodes.get(key.parse::<usize>().ok()?),
            _ => None,
        }
    }
}

/// The value, places left out.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null | Value::Unknown => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => int_to_json(*value).serialize(serializer),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Seq(nodes) => serializer.collect_seq(nodes),
            Value::Map(map) => serializer.collect_map(map.0.iter().map(|entry| (&entry.key, &entry.node))),
        }
    }
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.node)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        self.remove_at(key).map(|(_, entry)| entry)
    }

    /// Takes a key out and says where it was.
    pub fn remove_at(&mut self, key: &str) -> Option<(usize, Entry)> {
        let index = self.0.iter().position(|entry| entry.key == key)?;
        Some((index, self.0.remove(index)))
    }
}

fn int_to_json(value: i128) -> serde_json::Value {
    if let Ok(value) = u64::try_from(value) {
        value.into()
    } else if let Ok(value) = i64::try_from(value) {
        value.into()
    } else {
        (value as f64).into()
    }
}

fn shortened(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    if first.chars().count() == text.chars().count() && first.chars().count() <= 60 {
        text.to_owned()
    } else {
        format!("{}…", first.chars().take(60).collect::<String>())
    }
}
