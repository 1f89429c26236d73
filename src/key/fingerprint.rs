//! The key of an action: what decides whether a stage must run.
//!
//! | what | in the key | why |
//! |---|---|---|
//! | kind and its version | yes | another computation |
//! | parameters, defaults filled in | yes | writing a default changes nothing |
//! | every input's name and content digest | yes | an upstream rerun that gives the same bytes stops there |
//! | relative paths of a folder's images | yes, in the folder's digest | labels, order and `paths` come from them |
//! | the seed | for kinds that draw random numbers | another split, another initialisation |
//! | where folders and the manifest lie, their dates | no | moving an experiment changes no number |
//! | stage ids, pipeline name, description | no | names change no number |
//! | a command's line, variables and file names | yes, as parameters | they say what it does |
//! | variables passed through to a command | no | the user says so: they change no number |
//! | device, thread count, the tool's build | no | provenance: kept in the action record |
//!
//! Versions of the encoding, in the domain tag:
//! - 1: the first.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::{Change, Digest, Hasher, ParseDigestError};

const DOMAIN: &str = "packtrain action 1";

/// The name of an action: the hash of its [`Fingerprint`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ActionKey(Digest);

/// Everything that the result of an action depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    pub kind: String,
    pub version: u32,
    /// With every input's place set to null: inputs count by content.
    pub parameters: Value,
    /// By the input's name.
    pub inputs: BTreeMap<String, Digest>,
    /// Where the kind draws random numbers.
    pub seed: Option<u64>,
}

/// A part of a fingerprint, in the order of hashing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fact {
    Kind,
    Version,
    /// A leaf of the parameters, as dotted keys.
    Parameter(String),
    Input(String),
    Seed,
}

impl Fingerprint {
    /// The hash of all facts.
    pub fn key(&self) -> ActionKey {
        let mut hasher = Hasher::new(DOMAIN);
        for (fact, value) in self.facts() {
            hasher.field(fact.name().as_bytes()).field(value.to_string().as_bytes());
        }
        ActionKey(hasher.finish())
    }

    /// Why this action is not the earlier one; empty if it is.
    pub fn changes_from(&self, earlier: &Fingerprint) -> Vec<Change> {
        let (new, old) = (self.facts(), earlier.facts());
        let facts: std::collections::BTreeSet<&Fact> = new.keys().chain(old.keys()).collect();
        let differing = facts.into_iter().filter(|fact| new.get(fact) != old.get(fact));
        differing.map(|fact| change(fact, old.get(fact), new.get(fact))).collect()
    }

    /// The parameters as dotted keys with their values, and the seed.
    pub fn leaves(&self) -> BTreeMap<String, Value> {
        let leaf = |(fact, value): (Fact, Value)| match fact {
            Fact::Parameter(path) => Some((path, value)),
            Fact::Seed => Some(("seed".to_owned(), value)),
            Fact::Kind | Fact::Version | Fact::Input(_) => None,
        };
        self.facts().into_iter().filter_map(leaf).collect()
    }

    /// The one traversal that the hash and the explanation share.
    fn facts(&self) -> BTreeMap<Fact, Value> {
        let Fingerprint { kind, version, parameters, inputs, seed } = self;
        let mut facts = BTreeMap::from([(Fact::Kind, kind.as_str().into()), (Fact::Version, (*version).into())]);
        add_leaves(parameters, String::new(), &mut facts);
        facts.extend(inputs.iter().map(|(name, digest)| (Fact::Input(name.clone()), digest.to_string().into())));
        facts.extend(seed.map(|seed| (Fact::Seed, seed.into())));
        facts
    }
}

impl Fact {
    /// The name that is hashed; no two facts share one.
    fn name(&self) -> String {
        match self {
            Fact::Kind => "kind".to_owned(),
            Fact::Version => "version".to_owned(),
            Fact::Parameter(path) => format!("parameter {path}"),
            Fact::Input(name) => format!("input {name}"),
            Fact::Seed => "seed".to_owned(),
        }
    }
}

/// An empty map or list is a leaf too: `sources: {}` and no `sources` are different facts.
fn add_leaves(value: &Value, path: String, facts: &mut BTreeMap<Fact, Value>) {
    let child = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, value)| add_leaves(value, child(key), facts)),
        Value::Array(list) if list.iter().any(|item| item.is_object() || item.is_array()) => {
            list.iter().enumerate().for_each(|(index, value)| add_leaves(value, child(&index.to_string()), facts));
        }
        Value::Null => {}
        leaf => drop(facts.insert(Fact::Parameter(path), leaf.clone())),
    }
}

fn change(fact: &Fact, old: Option<&Value>, new: Option<&Value>) -> Change {
    let digest = |value: Option<&Value>| value.and_then(|value| value.as_str()?.parse().ok());
    match fact {
        Fact::Kind => Change::Kind { old: text(old), new: text(new) },
        Fact::Version => Change::Version { old: text(old), new: text(new) },
        Fact::Parameter(path) => Change::Parameter { path: path.clone(), old: old.cloned(), new: new.cloned(), place: None },
        Fact::Input(name) => Change::Input { name: name.clone(), old: digest(old), new: digest(new) },
        Fact::Seed => Change::Seed { old: old.and_then(Value::as_u64), new: new.and_then(Value::as_u64) },
    }
}

fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

impl ActionKey {
    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.0.short()
    }
}

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ActionKey {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<ActionKey, ParseDigestError> {
        text.parse().map(ActionKey)
    }
}

impl fmt::Debug for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActionKey({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fingerprint(parameters: Value) -> Fingerprint {
        let inputs = BTreeMap::from([("images".to_owned(), Digest::of_bytes(b"x"))]);
        Fingerprint { kind: "pack".into(), version: 1, parameters, inputs, seed: Some(1) }
    }

    #[test]
    fn the_order_of_keys_does_not_count_but_every_value_does() {
        let a = fingerprint(json!({ "a": { "x": 1, "y": 2 }, "b": [1, 2] }));
        assert_eq!(a.key(), fingerprint(json!({ "b": [1, 2], "a": { "y": 2, "x": 1 } })).key());
        for other in [json!({ "a": { "x": 1, "y": 3 }, "b": [1, 2] }), json!({ "a": { "x": 1, "y": 2 }, "b": [2, 1] }), json!({})] {
            assert_ne!(a.key(), fingerprint(other).key());
        }
    }

    #[test]
    fn a_key_changes_exactly_when_there_is_a_change_to_name() {
        let old = fingerprint(json!({ "lr": 0.1, "gone": true }));
        let new = Fingerprint {
            kind: "train".into(),
            version: 2,
            parameters: json!({ "lr": 0.2 }),
            inputs: BTreeMap::from([("val".to_owned(), Digest::of_bytes(b"x"))]),
            seed: None,
        };
        assert_eq!(old.changes_from(&old), []);
        let x = Some(Digest::of_bytes(b"x"));
        let expected = [
            Change::Kind { old: "pack".into(), new: "train".into() },
            Change::Version { old: "1".into(), new: "2".into() },
            Change::Parameter { path: "gone".into(), old: Some(json!(true)), new: None, place: None },
            Change::Parameter { path: "lr".into(), old: Some(json!(0.1)), new: Some(json!(0.2)), place: None },
            Change::Input { name: "images".into(), old: x, new: None },
            Change::Input { name: "val".into(), old: None, new: x },
            Change::Seed { old: Some(1), new: None },
        ];
        assert_eq!(new.changes_from(&old), expected);
    }

    #[test]
    fn an_absent_option_and_a_null_are_the_same() {
        assert_eq!(fingerprint(json!({ "a": null, "b": 1 })).key(), fingerprint(json!({ "b": 1 })).key());
    }
}
