//! `command`: any program as a stage, with declared inputs, outputs and environment.
//!
//! Says what is to be started and where its files lie; starts nothing. The command runs in a folder of its own and is given
//! paths relative to it, so that what it is told depends on no place: an input lies at `inputs/<name>`, an output at the file
//! name that it is declared with.

mod line;
mod outputs;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::stage::{ArtifactType, InputSource, InputUse, OutputDecl, ParameterProblem, Reference};

pub use line::{CommandLine, Word};
pub use outputs::{CommandOutput, CommandOutputs};

/// Runs a program of yours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments as a list, or a text for `sh -ec`. In it, `{inputs.name}` and `{outputs.name}` stand for
    /// the paths of inputs and outputs, `{seed}` for the seed; other braces mean nothing.
    #[schemars(extend("examples" = [["python3", "{inputs.script}", "{inputs.mean}", "{outputs.mean}"], "sort {inputs.list} > {outputs.list}"]))]
    pub run: CommandLine,
    /// What the command reads, by name: outputs of stages, files, folders. It runs again when their content changes.
    #[serde(default)]
    #[schemars(extend("propertyNames" = part_name()))]
    #[schemars(extend("examples" = [{ "mean": "mean", "script": { "file": "scripts/symmetric_mean.py" } }]))]
    pub inputs: BTreeMap<String, CommandInput>,
    /// What the command writes, by name; the first one is the main output.
    #[schemars(extend("propertyNames" = part_name(), "minProperties" = 1))]
    #[schemars(extend("examples" = [{ "mean": { "type": "mean", "file": "mean.json" } }]))]
    pub outputs: CommandOutputs,
    /// Environment variables with their values, in which placeholders stand as in `run`. The command runs again when they
    /// change.
    #[serde(default)]
    #[schemars(extend("propertyNames" = variable_name()))]
    #[schemars(extend("examples" = [{ "OMP_NUM_THREADS": "2" }]))]
    pub environment: BTreeMap<String, Word>,
    /// Environment variables that the command gets as they are outside. Their values do not count: nothing runs again for them.
    #[serde(default)]
    #[schemars(inner(pattern("^[A-Za-z_][A-Za-z0-9_]*$")))]
    #[schemars(extend("examples" = [["CUDA_VISIBLE_DEVICES"]]))]
    pub pass_environment: BTreeSet<String>,
}

/// What a command reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum CommandInput {
    Folder { folder: PathBuf },
    Reference(Reference),
}

/// The folder of the inputs, within that in which the command runs.
pub(crate) const INPUTS: &str = "inputs";

/// The folder for files that the command leaves to nobody.
pub(crate) const TEMPORARY: &str = "tmp";

impl Command {
    /// The program and its arguments.
    pub fn words(&self, seed: u64) -> Vec<String> {
        self.run.words().into_iter().map(|word| self.expand(word, seed)).collect()
    }

    /// The variables that the command is given besides those that every command has and those that are passed through.
    pub fn variables(&self, seed: u64) -> impl Iterator<Item = (&str, String)> {
        self.environment.iter().map(move |(name, value)| (name.as_str(), self.expand(value.as_str(), seed)))
    }

    /// Where the input `name` lies, from the command's folder.
    pub fn input_path(name: &str) -> PathBuf {
        Path::new(INPUTS).join(name)
    }

    pub(super) fn uses_seed(&self) -> bool {
        self.texts().iter().any(|(_, text)| line::mentions_seed(text))
    }

    pub(super) fn inputs(&self) -> Vec<InputUse<'_>> {
        let inputs = self.inputs.iter().map(|(name, written)| InputUse {
            name: Cow::Owned(format!("{INPUTS}.{name}")),
            source: written.source(),
            accepts: &ArtifactType::ALL,
        });
        inputs.collect()
    }

    pub(super) fn outputs(&self) -> Vec<OutputDecl> {
        let output = |(name, output): (&str, &CommandOutput)| OutputDecl {
            name: Cow::Owned(name.to_owned()),
            artifact: output.artifact,
            file: Cow::Owned(output.file.clone()),
        };
        self.outputs.iter().map(output).collect()
    }

    pub(super) fn check(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        if self.run.words().first().is_none_or(|program| program.trim().is_empty()) {
            problems.push(ParameterProblem::new("run", "`run` begins with a program"));
        }
        for (path, text) in self.texts() {
            problems.extend(self.unknown_placeholders(text).map(|problem| ParameterProblem { path: path.clone(), ..problem }));
        }
        if self.outputs.iter().next().is_none() {
            problems.push(ParameterProblem::new("outputs", "a command has at least one output: what it writes is all that is kept"));
        }
        problems.extend(self.check_files());
        for name in self.pass_environment.iter().filter(|name| self.environment.contains_key(*name)) {
            let message = format!("`{name}` has a value in `environment` already; take it out of one of them");
            problems.push(ParameterProblem::new("pass-environment", message));
        }
        problems
    }

    fn check_files(&self) -> Vec<ParameterProblem> {
        let mut problems = Vec::new();
        for (index, (name, output)) in self.outputs.iter().enumerate() {
            let mut problem = |message| problems.push(ParameterProblem::new(format!("outputs.{name}.file"), message));
            if [INPUTS, TEMPORARY].contains(&output.file.as_str()) {
                problem(format!("`{}` is a folder that every command has; name the file otherwise", output.file));
            }
            if let Some((earlier, _)) = self.outputs.iter().take(index).find(|(_, earlier)| earlier.file == output.file) {
                problem(format!("`{}` is the file of `{earlier}` already", output.file));
            }
        }
        problems
    }

    fn unknown_placeholders<'a>(&'a self, text: &'a str) -> impl Iterator<Item = ParameterProblem> {
        let placeholders = line::placeholders(text).into_iter();
        placeholders.filter(|placeholder| self.value(placeholder, 0).is_none()).map(|placeholder| {
            let inputs = self.inputs.keys().map(|name| format!("inputs.{name}"));
            let outputs = self.outputs.iter().map(|(name, _)| format!("outputs.{name}"));
            let message = format!("`{{{placeholder}}}` stands for nothing");
            ParameterProblem::new("", message).misspelt(placeholder, inputs.chain(outputs))
        })
    }

    /// Every text that may have placeholders in it, with its place.
    fn texts(&self) -> Vec<(String, &str)> {
        let variables = self.environment.iter().map(|(name, value)| (format!("environment.{name}"), value.as_str()));
        self.run.texts().into_iter().chain(variables).collect()
    }

    fn expand(&self, text: &str, seed: u64) -> String {
        line::expand(text, |placeholder| self.value(placeholder, seed))
    }

    /// What stands for a placeholder; `None` for one that is unknown.
    fn value(&self, placeholder: &str, seed: u64) -> Option<String> {
        match placeholder.split_once('.') {
            None => Some(seed.to_string()),
            Some((INPUTS, name)) => self.inputs.contains_key(name).then(|| format!("{INPUTS}/{name}")),
            Some(("outputs", name)) => self.outputs.get(name).map(|output| output.file.clone()),
            Some(_) => None,
        }
    }
}

impl CommandInput {
    fn source(&self) -> InputSource<'_> {
        match self {
            CommandInput::Folder { folder } => InputSource::Folder(folder),
            CommandInput::Reference(reference) => InputSource::Reference(reference),
        }
    }
}

fn part_name() -> Value {
    json!({
        "description": "A name has lower-case letters, digits and `-`, and begins with a letter.",
        "pattern": "^[a-z][a-z0-9-]*$"
    })
}

fn variable_name() -> Value {
    json!({
        "description": "The name of a variable has letters, digits and `_`, and does not begin with a digit.",
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"
    })
}

impl<'de> Deserialize<'de> for CommandInput {
    /// `{ folder: … }`, else a reference; what is neither is refused in the reference's words.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CommandInput, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Folder {
            folder: PathBuf,
        }
        let written = Value::deserialize(deserializer)?;
        if written.get("folder").is_none() {
            return Reference::deserialize(written).map(CommandInput::Reference).map_err(D::Error::custom);
        }
        let Folder { folder } = Folder::deserialize(written).map_err(D::Error::custom)?;
        Ok(CommandInput::Folder { folder })
    }
}

impl JsonSchema for CommandInput {
    fn schema_name() -> Cow<'static, str> {
        "CommandInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An input: `stage`, `stage.output`, `{ file: path }` for a file from outside, or `{ folder: path }` for all \
                            files under a folder, hidden ones left out.",
            "anyOf": [
                generator.subschema_for::<Reference>(),
                {
                    "type": "object",
                    "properties": { "folder": { "type": "string", "description": "A folder, relative to the manifest; all files under it but hidden ones." } },
                    "required": ["folder"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::StageSpec;

    fn command(changes: Value) -> Command {
        let mut spec = json!({
            "run": ["python3", "{inputs.script}", "--out={outputs.mean}", "{x}", 3],
            "inputs": { "script": { "file": "a/clean.py" }, "images": "pack.train", "photos": { "folder": "b" } },
            "outputs": { "mean": { "type": "mean", "file": "mean.json" }, "a-report": { "file": "report.txt" } }
        });
        for (key, value) in changes.as_object().unwrap() {
            spec[key] = value.clone();
        }
        serde_json::from_value(spec).unwrap()
    }

    fn problems(changes: Value) -> Vec<String> {
        command(changes).check().into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
    }

    #[test]
    fn placeholders_become_paths_that_depend_on_no_place() {
        let spec = command(json!({ "environment": { "PYTHONPATH": "{inputs.photos}:.", "N": 2 } }));
        assert_eq!(spec.words(7), ["python3", "inputs/script", "--out=mean.json", "{x}", "3"]);
        let variables: Vec<(&str, String)> = spec.variables(7).collect();
        assert_eq!(variables, [("N", "2".to_owned()), ("PYTHONPATH", "inputs/photos:.".to_owned())]);
        let spec = command(json!({ "run": "awk '{print $1}' {inputs.script} > {outputs.mean}; echo {seed}" }));
        assert_eq!(spec.words(7), ["sh", "-ec", "awk '{print $1}' inputs/script > mean.json; echo 7"]);
    }

    #[test]
    fn the_first_output_as_written_is_the_main_one() {
        let outputs = command(json!({})).outputs();
        let outputs: Vec<(&str, ArtifactType, &str)> =
            outputs.iter().map(|output| (&*output.name, output.artifact, &*output.file)).collect();
        assert_eq!(outputs, [("mean", ArtifactType::Mean, "mean.json"), ("a-report", ArtifactType::File, "report.txt")]);
    }

    #[test]
    fn the_key_has_the_command_and_its_variables_but_neither_paths_nor_what_is_passed_through() {
        let spec = StageSpec::Command(command(json!({ "environment": { "A": 1 }, "pass-environment": ["B"] })));
        assert_eq!(
            spec.parameters().unwrap(),
            json!({
                "run": ["python3", "{inputs.script}", "--out={outputs.mean}", "{x}", "3"],
                "inputs": { "script": null, "images": null, "photos": null },
                "outputs": { "mean": { "type": "mean", "file": "mean.json" }, "a-report": { "type": "file", "file": "report.txt" } },
                "environment": { "A": "1" }
            })
        );
    }

    #[test]
    fn the_seed_counts_only_for_a_command_that_is_told_it() {
        assert!(!StageSpec::Command(command(json!({}))).uses_seed());
        assert!(StageSpec::Command(command(json!({ "run": ["shuf", "--seed={seed}"] }))).uses_seed());
        assert!(StageSpec::Command(command(json!({ "environment": { "SEED": "{seed}" } }))).uses_seed());
    }

    #[test]
    fn every_value_that_cannot_work_is_named_by_its_place() {
        assert_eq!(problems(json!({})), Vec::<String>::new());
        let found = problems(json!({
            "run": ["python3", "{inputs.skript}", "{input.script}"],
            "outputs": { "a": { "file": "x" }, "b": { "file": "x" }, "c": { "file": "tmp" } },
            "environment": { "A": "{outputs.mean}" },
            "pass-environment": ["A"]
        }));
        assert_eq!(
            found,
            [
                "run.1: `{inputs.skript}` stands for nothing",
                "run.2: `{input.script}` stands for nothing",
                "environment.A: `{outputs.mean}` stands for nothing",
                "outputs.b.file: `x` is the file of `a` already",
                "outputs.c.file: `tmp` is a folder that every command has; name the file otherwise",
                "pass-environment: `A` has a value in `environment` already; take it out of one of them",
            ]
        );
        assert_eq!(problems(json!({ "run": " " })), ["run: `run` begins with a program"]);
        assert_eq!(problems(json!({ "run": [] }))[0], "run: `run` begins with a program");
        let none = problems(json!({ "run": ["true"], "outputs": {} }));
        assert_eq!(none, ["outputs: a command has at least one output: what it writes is all that is kept"]);
    }

    #[test]
    fn an_input_is_a_reference_or_a_folder_and_not_both() {
        let read = |value: Value| serde_json::from_value::<CommandInput>(value).map_err(|error| error.to_string());
        assert_eq!(read(json!({ "folder": "x" })).unwrap(), CommandInput::Folder { folder: "x".into() });
        assert_eq!(read(json!({ "file": "x" })).unwrap(), CommandInput::Reference(Reference::File("x".into())));
        assert_eq!(read(json!({ "folder": "x", "file": "y" })).unwrap_err(), "unknown field `file`, expected `folder`");
    }
}
