//! What is found out about the stages of a valid manifest, shown where they were written.

use super::diagnostic::{Diagnostic, ManifestErrors, Severity};
use super::family::Found;
use super::pipeline::{Family, Pipeline};
use crate::key::StagePath;

/// Something found out about a stage of a valid manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub stage: StagePath,
    /// Where in the stage, as dotted keys: `split.val`.
    pub path: String,
    pub severity: Severity,
    /// What is wrong and what would be right.
    pub message: String,
    pub notes: Vec<String>,
    pub help: Option<String>,
}

impl Family {
    /// Shows findings where they were written; what is so for several variants is told once.
    pub fn locate(&self, findings: &[Finding]) -> ManifestErrors {
        let mut found = Found::default();
        for pipeline in &self.variants {
            found.add(findings.iter().filter_map(|finding| diagnostic(pipeline, finding)).collect(), pipeline.variant.as_ref());
        }
        ManifestErrors::new(found.diagnostics().collect(), self.sources().cloned().unwrap_or_default())
    }
}

/// None for a finding about another variant.
fn diagnostic(pipeline: &Pipeline, finding: &Finding) -> Option<Diagnostic> {
    let stage = pipeline.stages.iter().find(|stage| pipeline.stage_path(&stage.id) == finding.stage)?;
    let problem = Diagnostic::of(stage.written.node()?.at(&finding.path), finding.message.clone()).severity(finding.severity);
    Some(finding.notes.iter().cloned().fold(problem, Diagnostic::note).help(finding.help.clone()))
}
