//! Where the results of a run come from, as its record keeps it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::manifest::{Family, Pipeline, Portable};
use crate::record::{PortableManifest, RunEnvironment, RunProvenance, VariantParams};

/// Sorts by time; unique because no two processes share an id within a second, and no two runs of a process a number.
pub(super) fn run_id() -> String {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S");
    match RUNS.fetch_add(1, Ordering::Relaxed) {
        0 => format!("{now}-{}", std::process::id()),
        earlier => format!("{now}-{}-{}", std::process::id(), earlier + 1),
    }
}

/// Where the results of a run of this family come from.
pub(super) fn of(family: &Family, command: &[String]) -> RunProvenance {
    let mut params = family.variants.first().map(|pipeline| pipeline.params.clone()).unwrap_or_default();
    let is_same_in = |pipeline: &Pipeline, name: &String, value: &Value| pipeline.params.get(name) == Some(value) && !pipeline.varies(name);
    params.retain(|name, value| family.variants.iter().all(|pipeline| is_same_in(pipeline, name, value)));
    let variants = family.variants.iter().filter_map(|pipeline| {
        let own = pipeline.params.iter().filter(|(name, _)| !params.contains_key(*name));
        let own = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        Some(VariantParams { variant: pipeline.variant.as_ref()?.name.clone(), params: own })
    });
    let Portable { text, inputs } = family.portable();
    RunProvenance {
        pipeline: family.name.clone(),
        manifest: family.manifest.clone(),
        command: command.to_owned(),
        manifest_text: family.texts().find(|(path, _)| *path == family.manifest).map(|(_, text)| text.to_owned()).unwrap_or_default(),
        portable: Some(PortableManifest { text, inputs }),
        variants: variants.collect(),
        params,
        started: jiff::Timestamp::now().to_string(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: None,
        git_dirty: None,
        environment: Some(RunEnvironment::here()),
    }
}

/// The commit of the repository that the project lies in, and whether its files are still those of that commit. To be called only
/// when something runs: a no-op run starts no program.
pub(super) fn add_git(provenance: &mut RunProvenance, root: &Path) {
    let arguments = ["--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"];
    #[expect(clippy::disallowed_methods, reason = "provenance: never part of a key")]
    let Ok(output) = Command::new("git").arg("-C").arg(root).args(arguments).output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    // A repository without a commit says `(initial)`.
    let commit = text.lines().find_map(|line| line.strip_prefix("# branch.oid ")).filter(|commit| !commit.starts_with('('));
    provenance.git_commit = commit.map(str::to_owned);
    provenance.git_dirty = commit.map(|_| text.lines().any(|line| !line.starts_with('#')));
}
