//! YAML as written, with positions, resolved into a [`Pipeline`] that cannot be invalid.
//!
//! The only user of the YAML library. Knows nothing of the graph, the cache or of running anything. In the order in which a
//! manifest passes through: `yaml` reads a text, `extends` puts texts together, `params` fills in values, `document` gives
//! keys their meaning with the rules of `schema` and `shape`, `resolve` follows references. Each goes on after a problem, so
//! that all of them are found at once.

mod diagnostic;
mod document;
mod extends;
mod nearest;
mod node;
mod params;
mod pipeline;
mod resolve;
mod schema;
mod shape;
mod source;
mod yaml;

use std::path::Path;

use diagnostic::Diagnostic;
use node::Node;
use source::Sources;

pub use diagnostic::ManifestErrors;
pub use params::{Override, OverrideError};
pub use pipeline::{Pipeline, PipelineInput, PipelineInputSource, PipelineStage};
pub use schema::schema;

/// Reads the manifest at `path`, with `overrides` of its parameters.
///
/// `path`, and relative paths in overrides, start from `current_dir`, an absolute folder; paths in a manifest start from the
/// manifest's own folder.
///
/// # Errors
///
/// Everything wrong with the manifest and all that it extends: text that is no YAML, unknown keys, wrong values, references
/// that lead nowhere, files that are not there.
pub fn load(path: &Path, overrides: &[Override], current_dir: &Path) -> Result<Pipeline, ManifestErrors> {
    let mut sources = Sources::new(current_dir);
    let mut problems = Vec::new();
    let root = extends::read(path, &mut sources, &mut problems);
    let pipeline = root.map(|root| pipeline(path, root, overrides, &mut sources, &mut problems));
    match pipeline {
        Some(pipeline) if problems.is_empty() => Ok(pipeline),
        _ => Err(ManifestErrors::new(problems, sources)),
    }
}

/// The pipeline; complete if no problem was added.
fn pipeline(path: &Path, mut root: Node, overrides: &[Override], sources: &mut Sources, problems: &mut Vec<Diagnostic>) -> Pipeline {
    let params = params::substitute(&mut root, overrides, sources, problems);
    let document = document::read(&root, problems);
    let stages = resolve::resolve(&document, sources, problems);
    let file_stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Pipeline {
        name: document.name.unwrap_or(file_stem),
        description: document.description,
        manifest: sources.absolute(path),
        params,
        stages,
    }
}
