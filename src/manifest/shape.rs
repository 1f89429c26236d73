//! Whether a part of a manifest has the shape that its schema asks for: keys, types, choices, bounds.
//!
//! Finds everything that is wrong, not just the first thing, and gives the value in the form that serde reads: a choice
//! written as a bare name gets its empty map.

use serde_json::{Map as JsonMap, Value as Json};

use super::diagnostic::Diagnostic;
use super::node::{Entry, Map, Node, Value};
use super::schema::{Rules, choice_with_body};
use super::source::Span;
use crate::nearest::{nearest, quoted, suggestion};

/// Checks nodes against schemas.
pub(super) struct Shape<'a> {
    pub rules: &'a Rules,
    pub problems: &'a mut Vec<Diagnostic>,
}

/// One of several named forms of a value: an enum's variant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'a> {
    pub name: &'a str,
    /// What `{ name: … }` holds; none for a bare name.
    body: Option<&'a Json>,
}

impl<'a> Shape<'a> {
    /// Checks a value, called `name` in messages, and gives it as JSON.
    pub fn check(&mut self, node: &Node, name: &str, schema: &'a Json) -> Json {
        let schema = self.rules.resolve(schema);
        if matches!(node.value, Value::Unknown) {
            return Json::Null;
        }
        if let Some(choices) = choices(schema) {
            return self.choice(node, name, &choices);
        }
        if let Some(alternatives) = alternatives(schema) {
            return self.alternative(node, name, schema, alternatives);
        }
        if !fits_type(node, schema) {
            let mismatch = self.mismatch(node, name, schema);
            self.problems.push(mismatch);
            return Json::Null;
        }
        match &node.value {
            Value::Map(map) => self.keys(map, node, name, schema),
            Value::Seq(items) => self.items(items, node, name, schema),
            Value::Int(_) | Value::Float(_) => self.number(node, name, schema),
            Value::String(text) => self.text(text, node, name, schema),
            Value::Null | Value::Bool(_) | Value::Unknown => node.to_json(),
        }
    }

    fn keys(&mut self, map: &Map, node: &Node, name: &str, schema: &'a Json) -> Json {
        let properties = schema.get("properties").and_then(Json::as_object);
        let others = schema.get("additionalProperties").unwrap_or(&Json::Bool(true));
        let known: Vec<&str> = properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str)).collect();
        let mut json = JsonMap::new();
        let mut meant = Vec::new();
        for entry in &map.0 {
            let part = properties.and_then(|properties| properties.get(&entry.key));
            let value = match (part, others) {
                (Some(part), _) => self.check(&entry.node, &format!("`{}`", entry.key), part),
                (None, Json::Object(_)) => self.named(entry, name, schema, others),
                (None, Json::Bool(false)) => {
                    meant.extend(nearest(&entry.key, known.iter().copied()));
                    self.problems.push(unknown_key(entry, name, &known));
                    continue;
                }
                (None, _) => self.free(entry, name, schema),
            };
            json.insert(entry.key.clone(), value);
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for key in required.filter(|key| map.entry(key).is_none() && !meant.contains(key)) {
            let description = properties.and_then(|properties| properties.get(key)).and_then(|part| self.description(part));
            let help = description.map(|description| format!("`{key}`: {description}"));
            self.problems.push(Diagnostic::of(node, format!("{name} lacks the key `{key}`")).help(help));
        }
        Json::Object(json)
    }

    /// A key that the schema does not list but describes.
    fn named(&mut self, entry: &Entry, name: &str, schema: &'a Json, part: &'a Json) -> Json {
        self.key_name(entry, name, schema);
        self.check(&entry.node, &format!("`{}`", entry.key), part)
    }

    /// A key that may hold anything.
    fn free(&mut self, entry: &Entry, name: &str, schema: &'a Json) -> Json {
        self.key_name(entry, name, schema);
        entry.node.to_json()
    }

    fn key_name(&mut self, entry: &Entry, name: &str, schema: &'a Json) {
        if let Some(names) = schema.get("propertyNames") {
            let key = Node::new(Value::String(entry.key.clone()), entry.key_span);
            self.check(&key, &format!("a key of {name}"), names);
        }
    }

    fn items(&mut self, items: &[Node], node: &Node, name: &str, schema: &'a Json) -> Json {
        let bound = |key: &str| schema.get(key).and_then(Json::as_u64);
        let (least, most, count) = (bound("minItems"), bound("maxItems"), items.len() as u64);
        if least.is_some_and(|least| count < least) || most.is_some_and(|most| count > most) {
            let expected = match (least, most) {
                (Some(least), Some(most)) if least == most => format!("exactly {least}"),
                (Some(least), _) if count < least => format!("at least {least}"),
                (_, most) => format!("at most {}", most.unwrap_or_default()),
            };
            self.problems.push(Diagnostic::of(node, format!("{name} must have {expected} items, not {count}")));
        }
        match schema.get("items") {
            Some(part) => items.iter().map(|item| self.check(item, &format!("an item of {name}"), part)).collect(),
            None => node.to_json(),
        }
    }

    fn number(&mut self, node: &Node, name: &str, schema: &Json) -> Json {
        let number = node.to_json();
        let value = number.as_f64().unwrap_or_default();
        let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let greatest = schema.get("format").and_then(Json::as_str).and_then(greatest);
        let expected = if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
            in_words(least, most)
        } else if let Some(above) = bound("exclusiveMinimum").filter(|above| value <= *above) {
            format!("above {above}")
        } else if let Some(below) = bound("exclusiveMaximum").filter(|below| value >= *below) {
            format!("below {below}")
        } else if let Some(greatest) = greatest.filter(|greatest| value > *greatest) {
            in_words(None, Some(greatest))
        } else {
            return number;
        };
        self.problems.push(Diagnostic::of(node, format!("{name} must be {expected}, not {number}")));
        Json::Null
    }

    fn text(&mut self, text: &str, node: &Node, name: &str, schema: &Json) -> Json {
        if let Some(names) = schema.get("enum").and_then(Json::as_array) {
            if !names.iter().any(|name| name.as_str() == Some(text)) {
                let names: Vec<&str> = names.iter().filter_map(Json::as_str).collect();
                self.problems.push(unknown_choice(text, node.span, name, &names));
            }
        } else if let Some(pattern) = schema.get("pattern").and_then(Json::as_str)
            && !self.rules.patterns.matches(pattern, text)
        {
            let help = self.description(schema);
            self.problems.push(Diagnostic::of(node, format!("{name} cannot be `{text}`")).help(help));
        }
        text.into()
    }

    /// A named choice: `name`, or `{ name: … }`.
    fn choice(&mut self, node: &Node, name: &str, choices: &[Choice<'a>]) -> Json {
        let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
        let problem = match &node.value {
            Value::String(text) => match choices.iter().find(|choice| choice.name == text) {
                Some(choice) => return self.bare_choice(node, *choice),
                None => unknown_choice(text, node.span, name, &names),
            },
            Value::Map(map) => match chosen(map)[..] {
                [entry] => match choices.iter().find(|choice| choice.name == entry.key) {
                    Some(choice) => return self.choice_with_body(entry, *choice),
                    None => unknown_choice(&entry.key, entry.key_span, name, &names),
                },
                [first, second, ..] => {
                    let title = format!("{name} must be one of {}, not several", quoted(names));
                    Diagnostic::at(second.key_span, title).also(first.key_span, "the first")
                }
                [] => Diagnostic::of(node, format!("{name} must be one of {}", quoted(names))),
            },
            _ => Diagnostic::of(node, format!("{name} must be one of {}, not {}", quoted(names), node.describe())),
        };
        self.problems.push(problem);
        Json::Null
    }

    fn choice_with_body(&mut self, entry: &Entry, choice: Choice<'a>) -> Json {
        let Some(body) = choice.body else {
            let problem = Diagnostic::at(entry.key_span, format!("`{}` takes no value", choice.name));
            self.problems.push(problem.help(format!("write `{}` alone", choice.name)));
            return Json::Null;
        };
        let value = self.check(&entry.node, &format!("`{}`", choice.name), body);
        Json::Object(JsonMap::from_iter([(choice.name.to_owned(), value)]))
    }

    /// `name`, which may stand for `{ name: {} }`.
    fn bare_choice(&mut self, node: &Node, choice: Choice<'a>) -> Json {
        let (name, Some(body)) = (choice.name, choice.body) else { return choice.name.into() };
        if self.rules.resolve(body).get("properties").is_none() {
            let problem = Diagnostic::of(node, format!("`{name}` needs a value"));
            self.problems.push(problem.help(format!("write `{{ {name}: … }}`")));
            return Json::Null;
        }
        let empty = Node { value: Value::Map(Map::default()), ..node.clone() };
        let value = self.check(&empty, &format!("`{name}`"), body);
        Json::Object(JsonMap::from_iter([(name.to_owned(), value)]))
    }

    /// A value of one of several types, which have no names.
    fn alternative(&mut self, node: &Node, name: &str, schema: &'a Json, alternatives: &'a [Json]) -> Json {
        let fitting: Vec<&Json> = alternatives.iter().filter(|part| self.may_fit(node, part)).collect();
        if fitting.is_empty() {
            let mismatch = self.mismatch(node, name, schema);
            self.problems.push(mismatch);
            return Json::Null;
        }
        let mut first_problems = None;
        for part in fitting {
            let mut problems = Vec::new();
            let json = Shape { rules: self.rules, problems: &mut problems }.check(node, name, part);
            if problems.is_empty() {
                return json;
            }
            first_problems.get_or_insert(problems);
        }
        let help = self.description(schema);
        let problems = first_problems.into_iter().flatten();
        self.problems.extend(problems.map(|problem| problem.help(help.clone())));
        Json::Null
    }

    /// Whether the value has the type for a schema, looked at from outside.
    fn may_fit(&self, node: &Node, schema: &Json) -> bool {
        let schema = self.rules.resolve(schema);
        if choices(schema).is_some() {
            return !node.is_null();
        }
        match alternatives(schema) {
            Some(parts) => parts.iter().any(|part| self.may_fit(node, part)),
            None => fits_type(node, schema),
        }
    }

    fn mismatch(&self, node: &Node, name: &str, schema: &Json) -> Diagnostic {
        let title = format!("{name} must be {}, not {}", self.expected(schema), node.describe());
        Diagnostic::of(node, title).help(self.description(schema))
    }

    /// What a schema asks for, in a sentence.
    fn expected(&self, schema: &Json) -> String {
        let schema = self.rules.resolve(schema);
        if let Some(choices) = choices(schema) {
            return format!("one of {}", quoted(choices.iter().map(|choice| choice.name)));
        }
        let parts: Vec<String> = match alternatives(schema) {
            Some(parts) => parts.iter().map(|part| self.expected(part)).collect(),
            None => types(schema).into_iter().map(|name| type_in_words(name).to_owned()).collect(),
        };
        parts.into_iter().filter(|part| part != type_in_words("null")).collect::<Vec<_>>().join(" or ")
    }

    /// The first paragraph that documents a schema.
    fn description(&self, schema: &Json) -> Option<String> {
        let own = schema.get("description").and_then(Json::as_str);
        let text = own.or_else(|| self.rules.resolve(schema).get("description").and_then(Json::as_str))?;
        Some(text.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "))
    }
}

/// The named choices of a schema, if that is all it offers.
pub(super) fn choices(schema: &Json) -> Option<Vec<Choice<'_>>> {
    let mut choices = Vec::new();
    for branch in schema.get("oneOf")?.as_array()? {
        if let Some(name) = branch.get("const").and_then(Json::as_str) {
            choices.push(Choice { name, body: None });
        } else if let Some(names) = branch.get("enum").and_then(Json::as_array) {
            choices.extend(names.iter().filter_map(Json::as_str).map(|name| Choice { name, body: None }));
        } else {
            let (name, body) = choice_with_body(branch)?;
            choices.push(Choice { name, body: Some(body) });
        }
    }
    Some(choices)
}

/// The entries that name a choice: those of the outermost manifest, whose choice replaces that of the manifest it extends.
pub(super) fn chosen(map: &Map) -> Vec<&Entry> {
    let outermost = map.0.iter().map(|entry| entry.key_span.source).min();
    map.0.iter().filter(|entry| Some(entry.key_span.source) == outermost).collect()
}

/// A name that none of `names` is.
pub(super) fn unknown_choice(text: &str, place: Span, name: &str, names: &[&str]) -> Diagnostic {
    let help = suggestion(text, names.iter().copied(), "it is one of");
    Diagnostic::at(place, format!("{name} cannot be `{text}`")).help(help)
}

fn unknown_key(entry: &Entry, name: &str, known: &[&str]) -> Diagnostic {
    let title = format!("unknown key `{}` in {name}", entry.key);
    Diagnostic::at(entry.key_span, title).help(suggestion(&entry.key, known.iter().copied(), "the keys are"))
}

fn alternatives(schema: &Json) -> Option<&[Json]> {
    schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array().map(Vec::as_slice)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits_type(node: &Node, schema: &Json) -> bool {
    let types = types(schema);
    types.is_empty() || types.iter().any(|name| has_type(node, name))
}

fn has_type(node: &Node, name: &str) -> bool {
    match node.value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Int(_) => name == "integer" || name == "number",
        Value::Float(_) => name == "number",
        Value::String(_) => name == "string",
        Value::Seq(_) => name == "array",
        Value::Map(_) => name == "object",
        Value::Unknown => true,
    }
}

fn type_in_words(name: &str) -> &'static str {
    match name {
        "null" => "empty",
        "boolean" => "`true` or `false`",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        _ => "a map of keys",
    }
}

fn in_words(least: Option<f64>, most: Option<f64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("between {least} and {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, most) => format!("at most {}", most.unwrap_or(f64::INFINITY)),
    }
}

/// The greatest value of an integer format.
fn greatest(format: &str) -> Option<f64> {
    match format {
        "uint8" => Some(f64::from(u8::MAX)),
        "uint16" => Some(f64::from(u16::MAX)),
        "uint32" => Some(f64::from(u32::MAX)),
        "uint64" | "uint" => Some(u64::MAX as f64),
        _ => None,
    }
}
