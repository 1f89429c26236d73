//! The keys of a manifest become stage specifications; references are not followed yet.

use serde_json::Value as Json;

use super::diagnostic::Diagnostic;
use super::node::{Entry, Map, Node, Value};
use super::schema::{COMMON_KEYS, EXECUTION_KEYS, FORMS, Form, Rules};
use super::shape::{Shape, choices, chosen, unknown_choice};
use super::source::Span;
use crate::key::StageId;
use crate::nearest::{nearest, quoted};
use crate::stage::{Execution, StageSpec};

/// A manifest whose parts have the right shape, as far as `problems` is empty.
pub(super) struct Document {
    pub name: Option<String>,
    pub description: Option<String>,
    pub stages: Vec<StageNode>,
}

/// A stage as written.
pub(super) struct StageNode {
    pub id: StageId,
    pub node: Node,
    /// None where something is wrong with the stage.
    pub spec: Option<StageSpec>,
    pub seed: u64,
    pub execution: Execution,
}

/// Of several forms of a kind, this key's choice decides.
const DECIDING_KEY: &str = "model";

/// Reads the whole manifest, parameters already substituted.
pub(super) fn read(root: Node, rules: &Rules, problems: &mut Vec<Diagnostic>) -> Document {
    let json = Shape { rules, problems }.check(&root, "the manifest", &rules.top);
    let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let (name, description, seed) = (text("name"), text("description"), json.get("seed").and_then(Json::as_u64).unwrap_or_default());
    // Of a large manifest it is large.
    drop(json);
    let stages = entries_of_stages(root).into_iter();
    let read = |Entry { key, key_span, node }: Entry| StageReader { rules, key: &key, key_span, seed, problems }.read(node);
    Document { name, description, stages: stages.filter_map(read).collect() }
}

fn entries_of_stages(root: Node) -> Vec<Entry> {
    let Value::Map(map) = root.value else { return Vec::new() };
    match map.0.into_iter().find(|entry| entry.key == "stages").map(|entry| entry.node.value) {
        Some(Value::Map(stages)) => stages.0,
        _ => Vec::new(),
    }
}

struct StageReader<'a> {
    rules: &'a Rules,
    /// What names the stage, and where.
    key: &'a str,
    key_span: Span,
    /// For a stage that has none of its own.
    seed: u64,
    problems: &'a mut Vec<Diagnostic>,
}

impl StageReader<'_> {
    /// The stage, if its name can be one.
    fn read(&mut self, mut node: Node) -> Option<StageNode> {
        let id: StageId = self.key.parse().ok()?;
        let known_problems = self.problems.len();
        let read = self.form(&mut node).map(|index| (index, self.json(&node, index)));
        let seed = read.as_ref().and_then(|(_, json)| json.get("seed")).and_then(Json::as_u64).unwrap_or(self.seed);
        let execution = read.as_ref().map_or_else(Execution::default, |(_, json)| self.execution(json));
        let spec = match read {
            Some((index, json)) if self.problems.len() == known_problems && !node.has_unknown() => self.spec(&FORMS[index], json),
            _ => None,
        };
        Some(StageNode { id, node, spec, seed, execution })
    }

    fn json(&mut self, node: &Node, form: usize) -> Json {
        let name = self.name();
        Shape { rules: self.rules, problems: self.problems }.check(node, &name, &self.rules.forms[form])
    }

    /// The keys that say how the stage is run; what has a wrong shape is reported already and null.
    fn execution(&mut self, json: &Json) -> Execution {
        let mut json = json.clone();
        if let Json::Object(object) = &mut json {
            object.retain(|key, value| EXECUTION_KEYS.contains(&key.as_str()) && !value.is_null());
        }
        serde_json::from_value(json).unwrap_or_else(|error| {
            self.problems.push(Diagnostic::at(self.key_span, format!("{}: {error}", self.name())));
            Execution::default()
        })
    }

    fn spec(&mut self, form: &Form, mut json: Json) -> Option<StageSpec> {
        if let Json::Object(object) = &mut json {
            object.retain(|key, _| !COMMON_KEYS.contains(&key.as_str()));
        }
        let spec = (form.build)(json);
        spec.map_err(|error| self.problems.push(Diagnostic::at(self.key_span, format!("{}: {error}", self.name())))).ok()
    }

    fn name(&self) -> String {
        format!("the stage `{}`", self.key)
    }

    /// Which of [`FORMS`] the stage has. A deciding key that decides nothing is reported and taken out of `node`'s checks.
    fn form(&mut self, node: &mut Node) -> Option<usize> {
        let forms = self.forms_of_kind(node)?;
        let first = *forms.first()?;
        if forms.len() == 1 {
            return Some(first);
        }
        let Value::Map(map) = &mut node.value else { return Some(first) };
        let Some((text, place)) = map.get(DECIDING_KEY).and_then(choice_text) else { return Some(first) };
        let rules = self.rules;
        let names: Vec<(usize, &str)> =
            forms.iter().flat_map(|form| deciding_choices(rules, *form).into_iter().map(|name| (*form, name))).collect();
        if let Some((form, _)) = names.iter().find(|(_, name)| *name == text) {
            return Some(*form);
        }
        let all: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
        self.problems.push(unknown_choice(&text, place, &format!("`{DECIDING_KEY}`"), &all));
        let meant = nearest(&text, all).and_then(|meant| names.iter().find(|(_, name)| *name == meant));
        let form = meant.map_or(first, |(form, _)| *form);
        if let Some(entry) = map.0.iter_mut().find(|entry| entry.key == DECIDING_KEY) {
            entry.node.value = Value::Unknown;
        }
        Some(form)
    }

    fn forms_of_kind(&mut self, node: &Node) -> Option<Vec<usize>> {
        let Some(map) = node.as_map() else {
            if !matches!(node.value, Value::Unknown) {
                let title = format!("{} must be a map of keys, not {}", self.name(), node.describe());
                self.problems.push(Diagnostic::of(node, title));
            }
            return None;
        };
        let kinds = kinds();
        let Some(kind) = map.get("kind") else {
            let problem = Diagnostic::at(self.key_span, format!("{} lacks the key `kind`", self.name()));
            self.problems.push(problem.help(format!("the kinds are: {}", quoted(kinds))));
            return None;
        };
        let text = match &kind.value {
            Value::String(text) => text,
            Value::Unknown => return None,
            _ => {
                self.problems.push(Diagnostic::of(kind, format!("`kind` must be a text, not {}", kind.describe())));
                return None;
            }
        };
        let forms: Vec<usize> = FORMS.iter().enumerate().filter(|(_, form)| form.kind == text).map(|(index, _)| index).collect();
        if forms.is_empty() {
            self.problems.push(unknown_choice(text, kind.span, "`kind`", &kinds));
        }
        Some(forms)
    }
}

/// The names that the deciding key of a form may take.
fn deciding_choices(rules: &Rules, form: usize) -> Vec<&str> {
    let definition = rules.resolve(&rules.forms[form]);
    let part = definition.get("properties").and_then(|properties| properties.get(DECIDING_KEY));
    let found = part.and_then(|part| choices(rules.resolve(part)));
    found.into_iter().flatten().map(|choice| choice.name).collect()
}

/// The kinds, each once.
fn kinds() -> Vec<&'static str> {
    let mut kinds: Vec<&str> = FORMS.iter().map(|form| form.kind).collect();
    kinds.dedup();
    kinds
}

/// The name that a choice begins with: `name` or `{ name: … }`.
fn choice_text(node: &Node) -> Option<(String, Span)> {
    match &node.value {
        Value::String(text) => Some((text.clone(), node.span)),
        Value::Map(map) => first_chosen(map).map(|entry| (entry.key.clone(), entry.key_span)),
        _ => None,
    }
}

fn first_chosen(map: &Map) -> Option<&Entry> {
    chosen(map).first().copied()
}
