//! A pipeline as a graph for other programs to draw.

use std::fmt::Write;

use crate::manifest::{PipelineInputSource, PipelineStage};
use crate::plan::Plan;

/// A graph language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For Markdown and the web.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// The stages and what flows between them, as text.
pub fn draw(plan: &Plan<'_>, format: GraphFormat) -> String {
    let mut out = String::from(match format {
        GraphFormat::Mermaid => "graph TD\n",
        GraphFormat::Dot => "digraph pipeline {\n    node [shape=box];\n",
    });
    for stage in plan.stages() {
        push_line(&mut out, &node(stage, format));
        for input in &stage.inputs {
            push_line(&mut out, &edge(stage, &input.name, &input.source, format));
        }
    }
    if format == GraphFormat::Dot {
        out.push_str("}\n");
    }
    out
}

fn push_line(out: &mut String, line: &str) {
    if !line.is_empty() {
        out.push_str("    ");
        out.push_str(line);
        out.push('\n');
    }
}

fn node(stage: &PipelineStage, format: GraphFormat) -> String {
    let (id, kind) = (&stage.id, stage.spec.kind());
    match format {
        GraphFormat::Mermaid => format!("{id}[\"{id}<br/><small>{kind}</small>\"]"),
        GraphFormat::Dot => format!("\"{id}\" [label=\"{id}\\n{kind}\"];"),
    }
}

fn edge(stage: &PipelineStage, input: &str, source: &PipelineInputSource, format: GraphFormat) -> String {
    let mut line = String::new();
    if let PipelineInputSource::Output { stage: from, output } = source {
        let label = if input == output { output.clone() } else { format!("{output} → {input}") };
        let written = match format {
            GraphFormat::Mermaid => write!(line, "{from} -- \"{label}\" --> {}", stage.id),
            GraphFormat::Dot => write!(line, "\"{from}\" -> \"{}\" [label=\"{label}\"];", stage.id),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    line
}
