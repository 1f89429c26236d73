//! The JSON Schema of manifests, made from the stage specifications.
//!
//! There is one set of rules: [`super::shape`] checks a manifest against the schemas here, and [`schema`] publishes the same
//! ones for editors, with `${name}` allowed wherever a parameter may stand.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::stage::{Command, ComputeMean, Evaluate, Execution, ExtractFeatures, OversampleEval, Pack, StageSpec, Train, TrainLogistic};

/// A stage as a manifest may write it. A kind has one form or, where `model` decides, several.
pub(super) struct Form {
    pub kind: &'static str,
    definition: fn(&mut SchemaGenerator) -> Schema,
    /// Reads the parameters, which fit the form's schema.
    pub build: fn(Value) -> serde_json::Result<StageSpec>,
}

/// Every form, in the order in which a reader would meet them.
pub(super) const FORMS: [Form; 8] = [
    Form { kind: "pack", definition: reference::<Pack>, build: |json| build(json, StageSpec::Pack) },
    Form { kind: "compute-mean", definition: reference::<ComputeMean>, build: |json| build(json, StageSpec::ComputeMean) },
    Form { kind: "extract-features", definition: reference::<ExtractFeatures>, build: |json| build(json, StageSpec::ExtractFeatures) },
    Form { kind: "train", definition: reference::<Train>, build: |json| build(json, StageSpec::Train) },
    Form { kind: "train", definition: reference::<TrainLogistic>, build: |json| build(json, StageSpec::TrainLogistic) },
    Form { kind: "oversample-eval", definition: reference::<OversampleEval>, build: |json| build(json, StageSpec::OversampleEval) },
    Form { kind: "evaluate", definition: reference::<Evaluate>, build: |json| build(json, StageSpec::Evaluate) },
    Form { kind: "command", definition: reference::<Command>, build: |json| build(json, StageSpec::Command) },
];

/// Keys of a stage that are no parameters of its kind.
pub(super) const COMMON_KEYS: [&str; 6] = ["kind", "description", "seed", "needs", "retries", "timeout"];

/// Those of them that are the fields of [`Execution`].
pub(super) const EXECUTION_KEYS: [&str; 3] = ["needs", "retries", "timeout"];

/// The schemas that manifests are checked against.
pub(super) struct Rules {
    /// By name, as `$ref` names them.
    pub definitions: Map<String, Value>,
    /// A reference to the definition of each of [`FORMS`].
    pub forms: Vec<Value>,
    /// The keys at the top.
    pub top: Value,
    pub patterns: Patterns,
}

/// The regular expressions of the schemas, each compiled when it is first asked for: that takes longer than all else of a check.
#[derive(Default)]
pub(super) struct Patterns(RefCell<HashMap<String, Option<Regex>>>);

/// The JSON Schema of manifests (draft 2020-12).
pub fn schema() -> Value {
    let mut rules = Rules::new();
    let short_forms = ShortForms { rules: Rules::new() };
    for definition in rules.definitions.values_mut() {
        short_forms.allow(definition);
        allow_parameters(definition);
    }
    allow_parameters(&mut rules.top);
    rules.definitions.insert("Parameter".to_owned(), parameter());
    rules
        .definitions
        .insert("Stage".to_owned(), json!({ "description": "A stage: its `kind` decides what else it takes.", "oneOf": rules.forms }));
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "packtrain pipeline" });
    if let (Value::Object(schema), Value::Object(top)) = (&mut schema, rules.top) {
        schema.extend(top);
        schema.extend(stage_rules());
        schema.insert("$defs".to_owned(), Value::Object(rules.definitions));
    }
    schema
}

impl Patterns {
    /// Whether a text matches; nothing matches what is no regular expression.
    pub fn matches(&self, pattern: &str, text: &str) -> bool {
        let mut compiled = self.0.borrow_mut();
        if !compiled.contains_key(pattern) {
            compiled.insert(pattern.to_owned(), Regex::new(pattern).ok());
        }
        compiled[pattern].as_ref().is_some_and(|expression| expression.is_match(text))
    }
}

impl Rules {
    pub fn new() -> Rules {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let forms: Vec<Value> = FORMS.iter().map(|form| (form.definition)(&mut generator).to_value()).collect();
        let execution = reference::<Execution>(&mut generator).to_value();
        let mut definitions = generator.take_definitions(true);
        let execution = definition_name(&execution).and_then(|name| definitions.shift_remove(name));
        let execution = execution.as_ref().and_then(|execution| execution["properties"].as_object()).cloned().unwrap_or_default();
        definitions.values_mut().for_each(close);
        for (form, reference) in FORMS.iter().zip(&forms) {
            if let Some(definition) = definition_name(reference).and_then(|name| definitions.get_mut(name)) {
                add_common_keys(form.kind, &execution, definition);
            }
        }
        Rules { definitions, forms, top: top(), patterns: Patterns::default() }
    }

    /// The schema itself, where `schema` only refers to one.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(definition) = referenced(&self.definitions, schema) {
            schema = definition;
        }
        schema
    }
}

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn build<T: DeserializeOwned>(json: Value, spec: fn(T) -> StageSpec) -> serde_json::Result<StageSpec> {
    serde_json::from_value(json).map(spec)
}

fn definition_name(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn referenced<'a>(definitions: &'a Map<String, Value>, schema: &Value) -> Option<&'a Value> {
    definitions.get(definition_name(schema)?)
}

/// Names that stages, parameters and profiles may have.
pub(super) fn name_rule() -> Value {
    json!({
        "description": "A name has letters, digits, `-` and `_`, and begins with a letter.",
        "pattern": "^[A-Za-z][A-Za-z0-9_-]*$"
    })
}

fn top() -> Value {
    let name_rule = name_rule();
    json!({
        "description": "A pipeline of image-classification stages. Relative paths start from the manifest's folder.",
        "type": "object",
        "properties": {
            "name": {
                "description": "Names the folder under `output/`; by default the file's name without its extension.",
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
            },
            "description": { "description": "For people; has no effect.", "type": "string" },
            "seed": {
                "description": "Decides every random choice of every stage that has no `seed` of its own.",
                "type": "integer", "format": "uint64", "minimum": 0, "default": 0
            },
            "extends": { "description": "A manifest that this one only states the differences from: its maps are merged, its lists and scalars replaced, an empty value takes a key away.", "type": "string" },
            "params": {
                "description": "Values by name, used as `${name}` and overridden with `-p name=value`.",
                "type": ["object", "null"],
                "propertyNames": name_rule
            },
            "matrix": {
                "description": "Lists of values for parameters: every combination makes a variant of the pipeline, in the order of the keys. The values take the place of those in `params`.",
                "type": ["object", "null"],
                "propertyNames": name_rule,
                "additionalProperties": {
                    "description": "The parameter's values, each once; an empty value takes away the list of an extended manifest.",
                    "type": ["array", "null"], "items": { "type": ["number", "string", "boolean"] }, "minItems": 1
                }
            },
            "stages": {
                "description": "The stages by name, in any order: who uses whom says what runs first.",
                "type": "object",
                "propertyNames": name_rule
            }
        },
        "required": ["stages"],
        "additionalProperties": false
    })
}

/// What an extending manifest writes is only part of a stage; the whole is checked when it is loaded.
fn stage_rules() -> Map<String, Value> {
    let part = json!({ "properties": { "stages": { "additionalProperties": { "type": ["object", "null"] } } } });
    let whole = json!({ "properties": { "stages": { "additionalProperties": { "$ref": "#/$defs/Stage" } } }, "required": ["stages"] });
    let rules = [("if", json!({ "required": ["extends"] })), ("then", part), ("else", whole), ("required", json!([]))];
    rules.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Puts the keys that every stage has around the kind's own.
fn add_common_keys(kind: &str, execution: &Map<String, Value>, definition: &mut Value) {
    let seed = json!({
        "description": "Decides the stage's random choices; by default the pipeline's seed.",
        "type": "integer", "format": "uint64", "minimum": 0
    });
    let description = json!({ "description": "For people; has no effect.", "type": "string" });
    let kind = json!({ "description": "What the stage does.", "const": kind });
    let common = [("kind", kind), ("description", description), ("seed", seed)];
    let mut properties: Map<String, Value> = common.into_iter().map(|(key, schema)| (key.to_owned(), schema)).collect();
    let own = definition["properties"].as_object().cloned();
    properties.extend(own.unwrap_or_default());
    properties.extend(execution.clone());
    let mut required = vec![json!("kind")];
    required.extend(definition["required"].as_array().cloned().unwrap_or_default());
    definition["properties"] = Value::Object(properties);
    definition["required"] = Value::Array(required);
}

/// Allows no keys besides the named ones, also where serde would pass over them.
fn close(schema: &mut Value) {
    for_each_part(schema, &mut |part| close(part));
    if let Value::Object(object) = schema
        && object.contains_key("properties")
    {
        object.entry("additionalProperties").or_insert(Value::Bool(false));
    }
}

/// Adds `name` beside `{ name: {…} }` where every key inside has a default.
struct ShortForms {
    rules: Rules,
}

impl ShortForms {
    fn allow(&self, schema: &mut Value) {
        for_each_part(schema, &mut |part| self.allow(part));
        let Some(Value::Array(branches)) = schema.get_mut("oneOf") else { return };
        let short: Vec<Value> = branches.iter().filter_map(|branch| self.of(branch)).collect();
        branches.extend(short);
    }

    fn of(&self, branch: &Value) -> Option<Value> {
        let (name, body) = choice_with_body(branch)?;
        let body = self.rules.resolve(body);
        let has_only_defaults = body.get("properties").is_some() && body.get("required").is_none();
        has_only_defaults.then(|| json!({ "description": format!("`{name}` with its defaults."), "type": "string", "const": name }))
    }
}

/// The name and the inside of a `{ name: … }` branch.
pub(super) fn choice_with_body(branch: &Value) -> Option<(&str, &Value)> {
    let properties = branch.get("properties")?.as_object()?;
    let (name, body) = properties.iter().next()?;
    let is_required = branch.get("required")?.as_array()?.iter().any(|key| key.as_str() == Some(name));
    (properties.len() == 1 && is_required).then_some((name.as_str(), body))
}

/// Allows `${name}` for every value that is no free text already.
fn allow_parameters(schema: &mut Value) {
    for_each_part(schema, &mut |part| allow_parameters(part));
    for key in ["properties", "additionalProperties", "items"] {
        match (key, schema.get_mut(key)) {
            ("properties", Some(Value::Object(properties))) => properties.values_mut().for_each(or_parameter),
            (_, Some(part @ Value::Object(_))) => or_parameter(part),
            _ => {}
        }
    }
}

fn or_parameter(schema: &mut Value) {
    let is_free_text = [json!("string"), json!(["string", "null"])].iter().any(|text| schema.get("type") == Some(text))
        && schema.get("pattern").is_none()
        && schema.get("enum").is_none();
    if is_free_text || schema.get("const").is_some() || schema.get("propertyNames").is_some() {
        return;
    }
    let Value::Object(mut own) = schema.take() else { return };
    let mut outer = Map::new();
    for key in ["description", "default"] {
        if let Some(value) = own.remove(key) {
            outer.insert(key.to_owned(), value);
        }
    }
    outer.insert("anyOf".to_owned(), json!([own, { "$ref": "#/$defs/Parameter" }]));
    *schema = Value::Object(outer);
}

fn parameter() -> Value {
    json!({
        "description": "The value of a parameter, or a text with such values in it.",
        "type": "string",
        "pattern": r"\$\{[A-Za-z][A-Za-z0-9_-]*\}"
    })
}

/// Every schema directly inside another one.
fn for_each_part(schema: &mut Value, visit: &mut dyn FnMut(&mut Value)) {
    let Value::Object(object) = schema else { return };
    for (key, value) in object {
        match (key.as_str(), value) {
            ("properties", Value::Object(parts)) => parts.values_mut().for_each(&mut *visit),
            ("oneOf" | "anyOf" | "allOf" | "prefixItems", Value::Array(parts)) => parts.iter_mut().for_each(&mut *visit),
            ("items" | "additionalProperties", part @ Value::Object(_)) => visit(part),
            _ => {}
        }
    }
}
