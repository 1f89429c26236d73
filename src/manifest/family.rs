//! A manifest's tree becomes the pipelines that it stands for.
//!
//! What is wrong with all variants is told once, what is wrong with some of them with their names.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::document;
use super::matrix::Matrix;
use super::node::Node;
use super::params;
use super::pipeline::{Family, Pipeline, Variant};
use super::resolve;
use super::schema::Rules;
use super::source::Sources;
use crate::key::VariantName;

/// The family; complete if no problem was added.
pub(super) fn read(path: &Path, root: Node, sources: &Arc<Sources>, problems: &mut Vec<Diagnostic>) -> Family {
    let matrix = Matrix::read(&root, sources, problems);
    let json = serde_json::to_string(&root).unwrap_or_default();
    let name = root.exactly_at("name").cloned();
    let rules = Rules::new();
    let mut found = Found::default();
    let mut variants = Vec::new();
    for (root, variant) in matrix.combinations(root) {
        let mut problems = Vec::new();
        let pipeline = Reader { path, sources, rules: &rules, problems: &mut problems }.pipeline(root, variant);
        found.add(problems, pipeline.variant.as_ref());
        variants.push(pipeline);
    }
    problems.extend(found.diagnostics());
    problems.extend(name.and_then(|name| unequal_names(&name, &variants)));
    let name = variants.first().map(|pipeline| pipeline.name.clone()).unwrap_or_default();
    Family { name, manifest: sources.absolute(path), variants, json }
}

struct Reader<'a> {
    path: &'a Path,
    sources: &'a Arc<Sources>,
    rules: &'a Rules,
    problems: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn pipeline(self, mut root: Node, variant: Option<Variant>) -> Pipeline {
        let Reader { path, sources, rules, problems } = self;
        let params = params::substitute(&mut root, sources, problems);
        let document = document::read(root, rules, problems);
        let stages = resolve::resolve(document.stages, sources, problems);
        let file_stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Pipeline {
            name: document.name.unwrap_or(file_stem),
            description: document.description,
            variant,
            manifest: sources.absolute(path),
            params,
            stages,
        }
    }
}

/// The problems of all variants, equal ones together.
#[derive(Default)]
pub(super) struct Found {
    problems: Vec<(Diagnostic, Vec<VariantName>)>,
    variants: usize,
}

impl Found {
    pub fn add(&mut self, problems: Vec<Diagnostic>, variant: Option<&Variant>) {
        self.variants += 1;
        for problem in problems {
            let index = self.problems.iter().position(|(known, _)| *known == problem).unwrap_or_else(|| {
                self.problems.push((problem, Vec::new()));
                self.problems.len() - 1
            });
            let names = &mut self.problems[index].1;
            names.extend(variant.map(|variant| variant.name.clone()).filter(|name| names.last() != Some(name)));
        }
    }

    pub fn diagnostics(self) -> impl Iterator<Item = Diagnostic> {
        let variants = self.variants;
        self.problems.into_iter().map(move |(problem, names)| match &names[..] {
            [] => problem,
            all if all.len() == variants => problem,
            [name] => problem.note(format!("this is so for the variant `{name}`")),
            [first, ..] => problem.note(format!("this is so for {} of {variants} variants, such as `{first}`", names.len())),
        })
    }
}

/// A family has one name; its variants have their own beside it.
fn unequal_names(place: &Node, variants: &[Pipeline]) -> Option<Diagnostic> {
    let differ = variants.windows(2).any(|pair| pair[0].name != pair[1].name);
    differ.then(|| Diagnostic::of(place, "the name depends on the matrix").help("every variant has a name of its own beside it".to_owned()))
}
