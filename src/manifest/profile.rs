//! Profiles: what a machine adds to every experiment, so that a manifest need not name it: the device, the cache's folder, how much
//! runs at once, and values of parameters.
//!
//! Values of parameters come between those that a manifest gives itself and those of the command line and of `matrix`. A profile
//! serves many manifests: parameters that one does not declare are passed over. Knows nothing of where the files of profiles lie.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use thiserror::Error;

use super::diagnostic::{Diagnostic, ManifestErrors};
use super::node::{Entry, Map, Node, Value};
use super::params::Override;
use super::pipeline::Family;
use super::schema::{Patterns, Rules, name_rule};
use super::shape::Shape;
use super::source::{Sources, normalize};
use super::yaml;
use crate::nearest::suggestion;
use crate::stage::Device;

/// A machine's settings by the name that a file gives them.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Where networks run.
    pub device: Option<Device>,
    /// How many stages run at once, at most.
    pub jobs: Option<NonZero<usize>>,
    /// The folder of the cache, absolute.
    pub state_dir: Option<PathBuf>,
    /// The remote cache as written, and the folder that it starts from.
    pub remote: Option<(String, PathBuf)>,
    params: Map,
    /// The texts that the values of `params` have their places in.
    sources: Sources,
}

/// Why there is no profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    #[error("there is no profile `{name}`; {help}")]
    Unknown { name: String, help: String },
    #[error(transparent)]
    Invalid(#[from] ManifestErrors),
}

impl Profile {
    /// The profile `name` of the first of `files` that has it; files that are not there are passed over. `current_dir` is
    /// absolute, and relative paths start from it; paths in a profile start from the folder of its file.
    ///
    /// # Errors
    ///
    /// When no file has it, or everything that is wrong with a file that was read on the way to it.
    pub fn find(name: &str, files: &[PathBuf], current_dir: &Path) -> Result<Profile, ProfileError> {
        let mut known = Vec::new();
        for file in files.iter().filter(|file| current_dir.join(file).exists()) {
            let mut sources = Sources::new(current_dir);
            let profiles = read(file, &mut sources)?;
            match profiles.get(name) {
                Some(node) => return Ok(Profile::new(node, sources)?),
                None => known.extend(profiles.0.into_iter().map(|entry| entry.key)),
            }
        }
        let places = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ");
        let help = suggestion(name, known.iter().map(String::as_str), "the profiles are");
        Err(ProfileError::Unknown { name: name.to_owned(), help: help.unwrap_or_else(|| format!("profiles are written in {places}")) })
    }

    /// The names of all profiles of the files; a file that is wrong has none.
    pub fn names(files: &[PathBuf], current_dir: &Path) -> Vec<String> {
        let read = files.iter().filter_map(|file| read(file, &mut Sources::new(current_dir)).ok());
        read.flat_map(|profiles| profiles.0).map(|entry| entry.key).collect()
    }

    /// As [`super::load`], with the profile's values for parameters.
    pub fn load(&self, path: &Path, overrides: &[Override]) -> Result<Family, ManifestErrors> {
        super::load_in(self.sources.clone(), path, &self.params, overrides)
    }

    /// From a value that has the right shape.
    fn new(node: &Node, sources: Sources) -> Result<Profile, ManifestErrors> {
        let text = |key: &str| node.as_map().and_then(|map| map.get(key)).filter(|node| node.as_str().is_some());
        let device = match text("device").map(|node| (node, node.as_str().unwrap_or_default().parse::<Device>())) {
            None => None,
            Some((_, Ok(device))) => Some(device),
            Some((node, Err(error))) => return Err(ManifestErrors::new(vec![Diagnostic::of(node, error)], Arc::new(sources))),
        };
        let jobs = node.to_json().get("jobs").and_then(Json::as_u64);
        let state_dir = text("state-dir").map(|node| normalize(&sources.get(node.base).folder.join(node.as_str().unwrap_or_default())));
        let remote = text("remote").map(|node| (node.as_str().unwrap_or_default().to_owned(), sources.get(node.base).folder.clone()));
        let params = node.as_map().and_then(|map| map.get("params")).and_then(Node::as_map).cloned().unwrap_or_default();
        let jobs = jobs.and_then(|jobs| NonZero::new(usize::try_from(jobs).unwrap_or(usize::MAX)));
        Ok(Profile { device, jobs, state_dir, remote, params, sources })
    }
}

/// Puts a profile's values in the place of those that the manifest declares.
pub(super) fn set_values(root: &mut Node, values: &Map) {
    let Some(params) = root.as_map_mut().and_then(|map| map.get_mut("params")).and_then(Node::as_map_mut) else { return };
    for Entry { key, node, .. } in &values.0 {
        if let Some(own) = params.get_mut(key) {
            own.clone_from(node);
        }
    }
}

/// The JSON Schema of files of profiles (draft 2020-12).
pub fn profiles_schema() -> Json {
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "packtrain profiles" });
    if let (Json::Object(schema), Json::Object(rules)) = (&mut schema, rules()) {
        schema.extend(rules);
    }
    schema
}

/// Every profile of a file.
fn read(file: &Path, sources: &mut Sources) -> Result<Map, ManifestErrors> {
    let mut problems = Vec::new();
    let root = match sources.read(file) {
        Ok(source) => yaml::parse(sources, source, &mut problems),
        Err(error) => {
            problems.push(Diagnostic::anywhere(format!("cannot read the profiles in `{}`: {error}", file.display())));
            None
        }
    };
    let schema = Rules { definitions: serde_json::Map::new(), forms: Vec::new(), top: rules(), patterns: Patterns::default() };
    if let Some(root) = &root {
        Shape { rules: &schema, problems: &mut problems }.check(root, "the file of profiles", &schema.top);
    }
    match root.map(|root| root.value) {
        Some(Value::Map(map)) if problems.is_empty() => Ok(map),
        _ if problems.is_empty() => Ok(Map::default()),
        _ => Err(ManifestErrors::new(problems, Arc::new(sources.clone()))),
    }
}

fn rules() -> Json {
    json!({
        "description": "Settings of machines by name, for `packtrain run --profile NAME`. Relative paths start from this file's folder.",
        "type": ["object", "null"],
        "propertyNames": name_rule(),
        "additionalProperties": {
            "description": "A machine. What the command line says counts more.",
            "type": ["object", "null"],
            "properties": {
                "device": {
                    "description": "Where networks run: `auto`, `cpu`, `cuda` or `cuda:N`.",
                    "type": "string",
                    "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$",
                    "examples": ["cuda:0"]
                },
                "jobs": {
                    "description": "At most so many stages at once; by default as many as the machine has room for.",
                    "type": "integer",
                    "minimum": 1
                },
                "state-dir": {
                    "description": "Folder of the cache, instead of `.packtrain` at the project's root.",
                    "type": "string",
                    "examples": ["/fast/packtrain"]
                },
                "remote": {
                    "description": "A cache elsewhere, from which results are taken that are not here: a folder, `http(s)://…` or `s3://bucket/prefix`. Credentials do not belong here; they come from the environment.",
                    "type": "string",
                    "examples": ["s3://team/packtrain"]
                },
                "params": {
                    "description": "Values of parameters, instead of those that a manifest gives itself; `-p` and `matrix` count more. Parameters that a manifest does not declare are passed over.",
                    "type": ["object", "null"],
                    "propertyNames": name_rule(),
                    "examples": [{ "images": "/data/dogs" }]
                }
            },
            "additionalProperties": false
        }
    })
}
