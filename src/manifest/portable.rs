//! A manifest for other machines: one text, without `extends`, with the values that were chosen, and with no place of this machine in it.
//!
//! `params` and `matrix` stay, so that the receiver may set them. What is read from outside is always the value of a parameter, whose
//! own value is a path within the manifest's folder, where the receiver may put it, or which `-p` points elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::params::{Part, parts};
use super::pipeline::{Family, Pipeline, PipelineInput, PipelineInputSource};

/// A manifest that needs no other file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portable {
    /// YAML.
    pub text: String,
    /// By parameter, the inputs that it says the place of, as `stage.input`.
    pub inputs: BTreeMap<String, BTreeSet<String>>,
}

/// The tree on its way to a portable text.
struct Porting<'a> {
    manifest: Value,
    inputs: BTreeMap<String, BTreeSet<String>>,
    folder: &'a Path,
}

impl Family {
    /// The manifest as it was resolved, to be read anywhere.
    pub fn portable(&self) -> Portable {
        let folder = self.manifest.parent().unwrap_or(Path::new("/"));
        let mut porting = Porting { manifest: serde_json::from_str(&self.json).unwrap_or_default(), inputs: BTreeMap::new(), folder };
        if let Value::Object(manifest) = &mut porting.manifest
            && !manifest.contains_key("name")
        {
            manifest.shift_insert(0, "name".to_owned(), self.name.as_str().into());
        }
        for pipeline in &self.variants {
            let inputs = pipeline.stages.iter().flat_map(|stage| stage.inputs.iter().map(|input| (stage.id.as_str(), input)));
            for (stage, input) in inputs {
                porting.input(pipeline, stage, input);
            }
        }
        let Porting { manifest, inputs, .. } = porting;
        // JSON is YAML too.
        let text = serde_saphyr::to_string(&manifest).unwrap_or_else(|_| format!("{manifest:#}\n"));
        Portable { text, inputs }
    }
}

impl Porting<'_> {
    fn input(&mut self, pipeline: &Pipeline, stage: &str, input: &PipelineInput) {
        let path = match &input.source {
            PipelineInputSource::Output { .. } => return,
            PipelineInputSource::File(path) | PipelineInputSource::ImageFolder(path) | PipelineInputSource::Folder(path) => path,
        };
        let at = format!("/stages/{stage}/{}", input.name.replace('.', "/"));
        let forms = [format!("{at}/file"), format!("{at}/folder"), at];
        let Some((at, text)) = forms.into_iter().find_map(|at| {
            let text = self.manifest.pointer(&at)?.as_str()?.to_owned();
            Some((at, text))
        }) else {
            return;
        };
        let param = match &parts(&text)[..] {
            [Part::Param(name)] => self.chase(name, path, pipeline),
            [Part::Param(name), Part::Text(rest)] => match without_end(path, rest) {
                Some(start) => self.chase(name, start, pipeline),
                None => return,
            },
            parts if parts.iter().any(|part| matches!(part, Part::Param(_))) => return,
            _ => {
                let param = self.new_param(stage, &input.name);
                self.set(&at, format!("${{{param}}}").into());
                self.set_param(&param, path, pipeline);
                param
            }
        };
        self.inputs.entry(param).or_default().insert(format!("{stage}.{}", input.name));
    }

    /// Gives a parameter that leads to `path`, by way of others maybe, a portable value; tells which one has it.
    fn chase(&mut self, param: &str, path: &Path, pipeline: &Pipeline) -> String {
        let value = self.manifest.pointer(&format!("/params/{param}")).and_then(Value::as_str).unwrap_or_default().to_owned();
        match &parts(&value)[..] {
            // A manifest whose parameters go round in a circle is not valid.
            [Part::Param(other)] if !pipeline.varies(param) => self.chase(other, path, pipeline),
            [Part::Param(other), Part::Text(rest)] if !pipeline.varies(param) => match without_end(path, rest) {
                Some(start) => self.chase(other, start, pipeline),
                None => param.to_owned(),
            },
            _ => {
                self.set_param(param, path, pipeline);
                param.to_owned()
            }
        }
    }

    fn set_param(&mut self, param: &str, path: &Path, pipeline: &Pipeline) {
        let portable = self.place_of(path);
        let settings = pipeline.variant.iter().flat_map(|variant| &variant.settings);
        let varied = settings.into_iter().find(|(name, _)| name == param).map(|(_, value)| value.as_str());
        let list = self.manifest.pointer_mut(&format!("/matrix/{param}")).and_then(Value::as_array_mut);
        for value in list.into_iter().flatten().filter(|value| value.as_str() == varied) {
            *value = portable.as_str().into();
        }
        if !self.manifest.get("params").is_some_and(Value::is_object) {
            self.set("/params", json!({}));
        }
        self.set(&format!("/params/{param}"), portable.into());
    }

    /// A path's place within the manifest's folder: its own, or for one elsewhere its last name.
    fn place_of(&self, path: &Path) -> String {
        let inside = path.strip_prefix(self.folder).ok().filter(|inside| !inside.as_os_str().is_empty());
        let place = inside.or_else(|| path.file_name().map(Path::new)).unwrap_or(Path::new("data"));
        place.display().to_string()
    }

    /// A parameter for what is written as a path: named as the input, if no other has that name.
    fn new_param(&self, stage: &str, input: &str) -> String {
        let input = input.strip_suffix(".file").unwrap_or(input);
        let short = input.rsplit('.').next().unwrap_or(input);
        let long = format!("{stage}-{}", input.replace('.', "-"));
        let none = Map::new();
        let params = self.manifest.get("params").and_then(Value::as_object).unwrap_or(&none);
        let mut names = [short.to_owned(), long.clone()].into_iter().chain((2..).map(|number| format!("{long}-{number}")));
        let is_name = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic());
        names.find(|name| is_name(name) && !params.contains_key(name)).unwrap_or(long)
    }

    /// Replaces or adds the value at a JSON pointer whose parent is there.
    fn set(&mut self, at: &str, value: Value) {
        let Some((parent, key)) = at.rsplit_once('/') else { return };
        match self.manifest.pointer_mut(parent) {
            Some(Value::Object(map)) => drop(map.insert(key.to_owned(), value)),
            Some(Value::Array(list)) => {
                if let Some(item) = key.parse().ok().and_then(|index: usize| list.get_mut(index)) {
                    *item = value;
                }
            }
            _ => {}
        }
    }
}

/// `path` without the names at its end that `end` writes.
fn without_end<'a>(path: &'a Path, end: &str) -> Option<&'a Path> {
    let end = Path::new(end.trim_start_matches('/'));
    if !path.ends_with(end) {
        return None;
    }
    path.ancestors().nth(end.components().count())
}
