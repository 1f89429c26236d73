//! YAML as written, with positions, resolved into a [`Family`] of pipelines that cannot be invalid.
//!
//! The only user of the YAML library. Knows nothing of the graph, the cache or of running anything. In the order in which a
//! manifest passes through: `yaml` reads a text, `extends` puts texts together, `profile` adds a machine's values; `family` takes the
//! whole through the rest, once for every combination of `matrix`: `params` fills in values, `document` gives keys their meaning
//! with the rules of `schema` and `shape`, `resolve` follows references. Each goes on after a problem, so that all of them are found at once.

mod diagnostic;
mod document;
mod extends;
mod family;
mod finding;
mod matrix;
mod node;
mod outline;
mod params;
mod pipeline;
mod portable;
mod profile;
mod resolve;
mod schema;
mod selection;
mod shape;
mod source;
mod written;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::Map;
use source::Sources;

pub use diagnostic::{ManifestErrors, ManifestProblem, ProblemPlace, Severity};
pub use finding::Finding;
pub use outline::Outline;
pub use params::{Override, OverrideError};
pub use pipeline::{Family, Pipeline, PipelineInput, PipelineInputSource, PipelineStage, Variant};
pub use portable::Portable;
pub use profile::{Profile, ProfileError, profiles_schema};
pub use schema::schema;
pub use selection::{SelectionError, VariantFilter, VariantFilterError};
pub use written::Written;

/// Reads the manifest at `path`, with `overrides` of its parameters.
///
/// `path`, and relative paths in overrides, start from `current_dir`, an absolute folder; paths in a manifest start from the
/// manifest's own folder.
///
/// # Errors
///
/// Everything wrong with the manifest and all that it extends: text that is no YAML, unknown keys, wrong values, references
/// that lead nowhere, files that are not there.
pub fn load(path: &Path, overrides: &[Override], current_dir: &Path) -> Result<Family, ManifestErrors> {
    load_in(Sources::new(current_dir), path, &Map::default(), overrides)
}

/// The absolute path without `.` and `..` of a path that starts from `current_dir`.
pub fn absolute(path: &Path, current_dir: &Path) -> PathBuf {
    source::normalize(&current_dir.join(path))
}

/// `values` are those of a profile, with their places in `sources`.
fn load_in(mut sources: Sources, path: &Path, values: &Map, overrides: &[Override]) -> Result<Family, ManifestErrors> {
    let mut problems = Vec::new();
    let root = extends::read(path, &mut sources, &mut problems);
    let root = root.map(|mut root| {
        profile::set_values(&mut root, values);
        params::override_values(&mut root, overrides, &mut sources, &mut problems);
        root
    });
    let sources = Arc::new(sources);
    let family = root.map(|root| family::read(path, root, &sources, &mut problems));
    match family {
        Some(family) if problems.is_empty() => Ok(family),
        _ => Err(ManifestErrors::new(problems, sources)),
    }
}
