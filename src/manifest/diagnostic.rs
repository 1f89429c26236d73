//! What is wrong with a manifest, and how that is shown: the place, the line, the reason, the way out.
//!
//! The only user of the rendering library. Knows nothing of what is checked.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::node::Node;
use super::source::{Sources, Span};

/// Everything wrong with a manifest, or likely to be, that could be found at once.
#[derive(Debug)]
pub struct ManifestErrors {
    problems: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

/// One thing wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Diagnostic {
    severity: Severity,
    title: String,
    place: Option<Span>,
    label: Option<String>,
    also: Vec<(Span, String)>,
    notes: Vec<String>,
    help: Vec<String>,
}

/// Whether a pipeline can run in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Error,
    /// It can, but hardly as it was meant.
    Warning,
}

/// One thing wrong, for programs to read.
#[derive(Debug, Serialize)]
pub struct ManifestProblem<'a> {
    pub severity: Severity,
    pub message: &'a str,
    /// None for a manifest that is not there.
    #[serde(flatten)]
    pub place: Option<ProblemPlace<'a>>,
    pub notes: &'a [String],
    /// What would be right.
    pub help: &'a [String],
}

/// Where in a manifest something is wrong.
#[derive(Debug, Serialize)]
pub struct ProblemPlace<'a> {
    /// The path as given or as reached from there.
    pub file: &'a str,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
}

impl ManifestErrors {
    /// The problems in the order of the text, each once.
    pub(super) fn new(mut problems: Vec<Diagnostic>, sources: Arc<Sources>) -> ManifestErrors {
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        ManifestErrors { problems, sources }
    }

    /// How many problems there are.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// How many of them are of one severity.
    pub fn count_of(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The problems in the order of the text.
    pub fn problems(&self) -> impl Iterator<Item = ManifestProblem<'_>> {
        self.problems.iter().map(|problem| problem.listed(&self.sources))
    }

    /// All problems for a terminal that shows colours.
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let renderer = renderer.clone().decor_style(DecorStyle::Ascii);
        let rendered = self.problems.iter().map(|problem| renderer.render(&[problem.group(&self.sources)]));
        rendered.collect::<Vec<_>>().join("\n\n")
    }
}

impl fmt::Display for ManifestErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for ManifestErrors {}

impl Diagnostic {
    /// A problem at a place.
    pub fn at(place: Span, title: impl Into<String>) -> Diagnostic {
        Diagnostic { place: Some(place), ..Diagnostic::anywhere(title) }
    }

    /// A problem with a value; if that comes from a parameter, the place of its use is shown too.
    pub fn of(node: &Node, title: impl Into<String>) -> Diagnostic {
        let problem = Diagnostic::at(node.span, title);
        match node.used_at {
            Some(used_at) => problem.also(used_at, "used here"),
            None => problem,
        }
    }

    /// A problem that no text holds, such as a manifest that is not there.
    pub fn anywhere(title: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            title: title.into(),
            place: None,
            label: None,
            also: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }

    /// With another severity than an error's.
    pub fn severity(self, severity: Severity) -> Diagnostic {
        Diagnostic { severity, ..self }
    }

    /// A few words under the place.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    /// Another place that has to do with it.
    pub fn also(mut self, place: Span, label: impl Into<String>) -> Diagnostic {
        self.also.push((place, label.into()));
        self
    }

    /// What is known of it besides, such as when it is so.
    pub fn note(mut self, note: String) -> Diagnostic {
        self.notes.push(note);
        self
    }

    /// What would be right.
    pub fn help(mut self, help: impl Into<Option<String>>) -> Diagnostic {
        self.help.extend(help.into());
        self
    }

    fn listed<'a>(&'a self, sources: &'a Sources) -> ManifestProblem<'a> {
        let Diagnostic { severity, title, place, notes, help, .. } = self;
        let place = place.map(|place| {
            let source = sources.get(place.source);
            let before = &source.text[..character_start(&source.text, place.start)];
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            let line = before.matches('\n').count() + 1;
            ProblemPlace { file: &source.name, line, column: before[line_start..].chars().count() + 1 }
        });
        ManifestProblem { severity: *severity, message: title, place, notes, help }
    }

    fn group<'a>(&'a self, sources: &'a Sources) -> Group<'a> {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(self.title.as_str()));
        if let Some(place) = self.place {
            let in_same_source = self.also.iter().filter(|(span, _)| span.source == place.source);
            let context = in_same_source.map(|(span, label)| AnnotationKind::Context.span(range(*span, sources)).label(label.as_str()));
            let primary = AnnotationKind::Primary.span(range(place, sources)).label(self.label.as_deref());
            group = group.element(snippet(place, sources).annotation(primary).annotations(context));
            for (span, label) in self.also.iter().filter(|(span, _)| span.source != place.source) {
                let context = AnnotationKind::Context.span(range(*span, sources)).label(label.as_str());
                group = group.element(snippet(*span, sources).annotation(context));
            }
        }
        group
            .elements(self.notes.iter().map(|note| Level::NOTE.message(note.as_str())))
            .elements(self.help.iter().map(|help| Level::HELP.message(help.as_str())))
    }
}

fn snippet<'a, T: Clone>(span: Span, sources: &'a Sources) -> Snippet<'a, T> {
    let source = sources.get(span.source);
    Snippet::source(source.text.as_str()).path(source.name.as_str())
}

/// At most the first line of a place, within the text and between characters.
fn range(span: Span, sources: &Sources) -> std::ops::Range<usize> {
    let text = &sources.get(span.source).text;
    let start = character_start(text, span.start);
    let end = character_start(text, span.end).max(start);
    let line = text[start..end].lines().next().unwrap_or_default();
    start..start + line.trim_end().len()
}

fn character_start(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or_default()
}
