//! YAML text becomes a tree with places.
//!
//! The only user of the YAML library. Knows nothing of what a manifest may hold.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, MessageFormatter, Options, Spanned, UserMessageFormatter};

use super::diagnostic::Diagnostic;
use super::node::{Entry, Map, Node, Value};
use super::source::{SourceId, Sources, Span};

/// Reads a text; duplicate keys are problems but the rest of the text is still given.
pub(super) fn parse(sources: &Sources, id: SourceId, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    match parse_text(&sources.get(id).text) {
        Ok(raw) => Some(Placing { source: id, offset: 0, problems }.node(raw)),
        Err(error) => {
            problems.push(syntax_error(&error, &sources.get(id).text, id));
            None
        }
    }
}

/// Reads the part of a text that begins at `offset` as one value, if it is one.
pub(super) fn parse_part(sources: &Sources, id: SourceId, offset: usize, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let raw = parse_text(sources.get(id).text.get(offset..)?).ok()?;
    let node = Placing { source: id, offset, problems }.node(raw);
    Some(node)
}

/// A tree as the library gives it.
#[derive(Debug, Clone)]
enum Raw {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    String(String),
    Seq(Vec<Placed<Raw>>),
    Map(Vec<(Placed<String>, Placed<Raw>)>),
}

/// A value with its bytes of the text. The library's own places are several times as large, which tells in large manifests.
#[derive(Debug, Clone)]
struct Placed<T> {
    value: T,
    start: u32,
    len: u32,
}

/// Turns the library's places into ours.
struct Placing<'a> {
    source: SourceId,
    offset: usize,
    problems: &'a mut Vec<Diagnostic>,
}

impl Placing<'_> {
    fn node(&mut self, raw: Placed<Raw>) -> Node {
        let span = self.span(&raw);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Int(value) => Value::Int(value),
            Raw::Float(value) => Value::Float(value),
            Raw::String(text) => Value::String(text),
            Raw::Seq(items) => Value::Seq(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(self.map(entries)),
        };
        Node::new(value, span)
    }

    fn map(&mut self, entries: Vec<(Placed<String>, Placed<Raw>)>) -> Map {
        let mut map = Map(Vec::with_capacity(entries.len()));
        for (key, raw) in entries {
            let key_span = self.span(&key);
            let mut node = self.node(raw);
            if matches!(node.value, Value::Map(_) | Value::Seq(_)) || (node.is_null() && node.span.start == node.span.end) {
                node.span = key_span;
            }
            match map.entry(&key.value) {
                Some(first) => self.problems.push(duplicate_key(&key.value, key_span, first.key_span)),
                None => map.0.push(Entry { key: key.value, key_span, node }),
            }
        }
        map
    }

    fn span<T>(&self, placed: &Placed<T>) -> Span {
        let start = self.offset + placed.start as usize;
        Span { source: self.source, start, end: start + placed.len as usize }
    }
}

fn duplicate_key(key: &str, place: Span, first: Span) -> Diagnostic {
    Diagnostic::at(place, format!("the key `{key}` is given twice")).also(first, "first given here")
}

fn parse_text(text: &str) -> Result<Placed<Raw>, Error> {
    serde_saphyr::from_str_with_options(text, options())
}

/// Duplicate keys pass, so that all of them can be reported; limits are far above any manifest and far below any harm.
fn options() -> Options {
    serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 100_000, max_documents: 2 },
    }
}

fn syntax_error(error: &Error, text: &str, source: SourceId) -> Diagnostic {
    let place = error.location().map_or(Span::beginning_of(source), |location| {
        let start = byte_of(text, location.line(), location.column());
        Span { source, start, end: start + 1 }
    });
    let message = UserMessageFormatter.format_message(error.without_snippet());
    Diagnostic::at(place, format!("this is not a YAML document: {message}"))
}

/// The byte at a line and column, both counted from 1, columns in characters.
fn byte_of(text: &str, line: u64, column: u64) -> usize {
    let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let line_start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[line_start..];
    line_start + rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Placed<T>, D::Error> {
        let Spanned { value, defined, .. } = Spanned::deserialize(deserializer)?;
        let span = defined.span();
        let bytes = |count: Option<u64>| count.unwrap_or_default().try_into().map_err(|_| de::Error::custom("the text is too long"));
        Ok(Placed { value, start: bytes(span.byte_offset())?, len: bytes(span.byte_len())? })
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Int(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        entries.shrink_to_fit();
        Ok(Raw::Map(entries))
    }
}
