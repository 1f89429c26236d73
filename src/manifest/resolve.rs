//! References lead to outputs of the right type, and what comes from outside is there.
//!
//! Knows stages only by their declared inputs and outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::document::StageNode;
use super::node::Node;
use super::pipeline::{PipelineInput, PipelineInputSource, PipelineStage};
use super::source::{Sources, normalize};
use super::written::Written;
use crate::key::StageId;
use crate::nearest::{sibling, suggestion};
use crate::stage::{ArtifactType, ImageLocation, InputSource, InputUse, OutputDecl, ParameterProblem, Reference, StageSpec};

/// Follows every input of every stage; the result is complete if no problem was added.
pub(super) fn resolve(stages: Vec<StageNode>, sources: &Arc<Sources>, problems: &mut Vec<Diagnostic>) -> Vec<PipelineStage> {
    let by_id = by_id(&stages);
    let inputs: Vec<Vec<PipelineInput>> = stages
        .iter()
        .map(|stage| {
            let Some(spec) = &stage.spec else { return Vec::new() };
            problems.extend(spec.check().iter().map(|problem| parameter_problem(stage, problem)));
            let mut resolver = Resolver { stages: &stages, by_id: &by_id, stage, sources, problems };
            spec.inputs().iter().filter_map(|input| resolver.input(input)).collect()
        })
        .collect();
    problems.extend(cycles(&stages, &by_id));
    let resolved = |(stage, inputs): (StageNode, Vec<PipelineInput>)| {
        let StageNode { id, node, spec, seed, execution } = stage;
        Some(PipelineStage { id, spec: spec?, seed, execution, written: Written::new(node, sources), inputs })
    };
    stages.into_iter().zip(inputs).filter_map(resolved).collect()
}

/// Of stages with the same name, which is an error elsewhere, the first.
type StagesById<'a> = BTreeMap<&'a StageId, &'a StageNode>;

fn by_id(stages: &[StageNode]) -> StagesById<'_> {
    stages.iter().rev().map(|stage| (&stage.id, stage)).collect()
}

struct Resolver<'a> {
    stages: &'a [StageNode],
    by_id: &'a StagesById<'a>,
    stage: &'a StageNode,
    sources: &'a Sources,
    problems: &'a mut Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn input(&mut self, input: &InputUse<'_>) -> Option<PipelineInput> {
        let node = self.stage.node.at(&input.name);
        let source = match input.source {
            InputSource::Reference(Reference::Output { stage, output }) => self.output(input, node, stage, output.as_deref()),
            InputSource::Reference(Reference::File(path)) => self.file(node.at("file"), path),
            InputSource::File(path) => self.file(node, path),
            InputSource::ImageFolder(path) => self.images(node, path),
            InputSource::Folder(path) => self.folder(node.at("folder"), path),
        };
        source.map(|source| PipelineInput { name: input.name.clone().into_owned(), source })
    }

    fn output(&mut self, input: &InputUse<'_>, node: &Node, id: &StageId, name: Option<&str>) -> Option<PipelineInputSource> {
        let Some(stage) = self.by_id.get(id) else {
            let ids = self.stages.iter().map(|stage| stage.id.as_str());
            let help = suggestion(id.as_str(), ids, "the stages are");
            self.problems.push(Diagnostic::of(node, format!("there is no stage `{id}`")).help(help));
            return None;
        };
        if stage.id == self.stage.id {
            self.problems.push(Diagnostic::of(node, format!("the stage `{id}` uses its own output")));
            return None;
        }
        let outputs = stage.spec.as_ref()?.outputs();
        let found = match name {
            None => outputs.first(),
            Some(name) => outputs.iter().find(|output| output.name == name),
        };
        let Some(output) = found else {
            self.problems.push(no_output(node, id, name, &outputs));
            return None;
        };
        if !input.accepts.contains(&output.artifact) {
            self.problems.push(self.type_mismatch(input, node, id, output));
            return None;
        }
        Some(PipelineInputSource::Output { stage: id.clone(), output: output.name.to_string() })
    }

    fn type_mismatch(&self, input: &InputUse<'_>, node: &Node, id: &StageId, output: &OutputDecl) -> Diagnostic {
        let accepts = input.accepts.iter().map(|artifact| with_article(*artifact)).collect::<Vec<_>>().join(" or ");
        let title = format!("`{}` takes {accepts}, but `{id}.{}` is {}", input.name, output.name, with_article(output.artifact));
        let fitting = self.fitting_outputs(input.accepts);
        let help = (!fitting.is_empty()).then(|| format!("there is {}", fitting.join(", ")));
        Diagnostic::of(node, title).help(help)
    }

    /// What other stages give that would be right.
    fn fitting_outputs(&self, accepts: &[ArtifactType]) -> Vec<String> {
        let others = self.stages.iter().filter(|stage| stage.id != self.stage.id);
        let outputs = others.filter_map(|stage| Some((&stage.id, stage.spec.as_ref()?.outputs())));
        let named = outputs.flat_map(|(id, outputs)| outputs.into_iter().map(move |output| (id, output)));
        named.filter(|(_, output)| accepts.contains(&output.artifact)).map(|(id, output)| format!("`{id}.{}`", output.name)).collect()
    }

    fn file(&mut self, node: &Node, written: &Path) -> Option<PipelineInputSource> {
        let path = normalize(&self.sources.get(node.base).folder.join(written));
        if path.is_file() {
            return Some(PipelineInputSource::File(path));
        }
        self.problems.push(if path.is_dir() {
            wrong_thing(node, written, "folder", "file")
        } else {
            self.missing(node, written, &path, "file")
        });
        None
    }

    fn images(&mut self, node: &Node, written: &Path) -> Option<PipelineInputSource> {
        let path = normalize(&self.sources.get(node.base).folder.join(written));
        if ImageLocation::find(&path).is_some() {
            return Some(PipelineInputSource::ImageFolder(path));
        }
        self.no_folder(node, written, &path);
        None
    }

    fn folder(&mut self, node: &Node, written: &Path) -> Option<PipelineInputSource> {
        let path = normalize(&self.sources.get(node.base).folder.join(written));
        if path.is_dir() {
            return Some(PipelineInputSource::Folder(path));
        }
        self.no_folder(node, written, &path);
        None
    }

    fn no_folder(&mut self, node: &Node, written: &Path, path: &Path) {
        self.problems.push(if path.is_file() {
            wrong_thing(node, written, "file", "folder")
        } else {
            self.missing(node, written, path, "folder")
        });
    }

    /// Says how far the path exists.
    fn missing(&self, node: &Node, written: &Path, path: &Path, what: &str) -> Diagnostic {
        let existing = path.ancestors().skip(1).find(|ancestor| ancestor.is_dir());
        let help = match existing {
            Some(_) if existing == path.parent() => sibling(path, written),
            Some(existing) => Some(format!("of its path only `{}` exists", existing.display())),
            None => None,
        };
        let parameter = node.used_at.and_then(|place| parameter_name(self.sources.text(place)));
        let diagnostic = Diagnostic::of(node, format!("there is no {what} `{}`", written.display())).help(help);
        let diagnostic = diagnostic.help(parameter.map(|name| format!("`-p {name}=…` takes another {what}")));
        if written.is_absolute() { diagnostic } else { diagnostic.label(format!("that is {}", path.display())) }
    }
}

/// The name in `${name}`, quoted or not.
fn parameter_name(text: &str) -> Option<&str> {
    text.trim_matches(['"', '\'']).strip_prefix("${")?.strip_suffix('}')
}

fn parameter_problem(stage: &StageNode, problem: &ParameterProblem) -> Diagnostic {
    let ParameterProblem { path, message, misspelt } = problem;
    let node = stage.node.at(path);
    let title = if path.is_empty() { format!("the stage `{}`: {message}", stage.id) } else { message.clone() };
    let meant = misspelt.as_ref().and_then(|slip| suggestion(&slip.name, slip.known.iter().map(String::as_str), "there are"));
    Diagnostic::of(node, title).help(meant)
}

fn no_output(node: &Node, id: &StageId, name: Option<&str>, outputs: &[OutputDecl]) -> Diagnostic {
    let Some(name) = name else { return Diagnostic::of(node, format!("the stage `{id}` has no outputs")) };
    let names = outputs.iter().map(|output| &*output.name);
    Diagnostic::of(node, format!("the stage `{id}` has no output `{name}`")).help(suggestion(name, names, "its outputs are"))
}

fn wrong_thing(node: &Node, written: &Path, is: &str, expected: &str) -> Diagnostic {
    Diagnostic::of(node, format!("`{}` is a {is}, but a {expected} is needed here", written.display()))
}

/// Circles of references, each reported once, at the reference that closes it.
fn cycles(stages: &[StageNode], by_id: &StagesById<'_>) -> Vec<Diagnostic> {
    let mut search = CycleSearch { by_id, finished: BTreeSet::new(), open: Vec::new(), problems: Vec::new() };
    for stage in stages {
        search.visit(stage);
    }
    search.problems
}

/// A depth-first walk along references.
struct CycleSearch<'a> {
    by_id: &'a StagesById<'a>,
    finished: BTreeSet<&'a StageId>,
    open: Vec<&'a StageId>,
    problems: Vec<Diagnostic>,
}

impl<'a> CycleSearch<'a> {
    fn visit(&mut self, stage: &'a StageNode) {
        if self.finished.contains(&stage.id) {
            return;
        }
        self.open.push(&stage.id);
        for (name, target) in stage.spec.iter().flat_map(used_stages) {
            let Some(next) = self.by_id.get(target).filter(|other| other.id != stage.id) else { continue };
            match self.open.iter().position(|open| **open == next.id) {
                Some(start) => self.problems.push(self.cycle(start, stage.node.at(&name), &next.id)),
                None => self.visit(next),
            }
        }
        self.open.pop();
        self.finished.insert(&stage.id);
    }

    fn cycle(&self, start: usize, closing: &Node, first: &StageId) -> Diagnostic {
        let path = self.open[start..].iter().copied().chain([first]).map(StageId::as_str);
        let path = path.collect::<Vec<_>>().join(" -> ");
        Diagnostic::of(closing, format!("stages use each other in a circle: {path}"))
    }
}

/// The stages that a stage refers to, each with the input's name.
fn used_stages(spec: &StageSpec) -> Vec<(String, &StageId)> {
    let inputs = spec.inputs().into_iter();
    let used = inputs.filter_map(|input| match input.source {
        InputSource::Reference(Reference::Output { stage, .. }) => Some((input.name.into_owned(), stage)),
        _ => None,
    });
    used.collect()
}

fn with_article(artifact: ArtifactType) -> String {
    match artifact {
        ArtifactType::Images | ArtifactType::Features | ArtifactType::Predictions | ArtifactType::Weights => artifact.as_str().to_owned(),
        ArtifactType::Evaluation => format!("an {}", artifact.as_str()),
        ArtifactType::Mean
        | ArtifactType::Model
        | ArtifactType::History
        | ArtifactType::Table
        | ArtifactType::Figure
        | ArtifactType::File => {
            format!("a {}", artifact.as_str())
        }
    }
}
