//! Where the stages of a pipeline were written, for what is found out about them later.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, ManifestErrors, Severity};
use super::family::Found;
use super::node::Node;
use super::pipeline::Family;
use super::source::Sources;
use crate::key::{StageId, StagePath, VariantName};

/// The texts of a manifest, and the places of every variant's stages in them.
#[derive(Debug)]
pub struct Places {
    pub(super) sources: Arc<Sources>,
    pub(super) variants: Vec<StagePlaces>,
}

/// The stages of one variant as they were written, parameters filled in.
#[derive(Debug)]
pub(super) struct StagePlaces {
    pub variant: Option<VariantName>,
    pub stages: Vec<(StageId, Node)>,
}

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

impl Places {
    /// Shows findings about a family where they were written; what is so for several variants is told once.
    pub fn locate(self, family: &Family, findings: &[Finding]) -> ManifestErrors {
        let mut found = Found::default();
        for pipeline in &family.variants {
            let name = pipeline.variant.as_ref().map(|variant| &variant.name);
            let own = findings.iter().filter(|finding| finding.stage.variant.as_ref() == name);
            found.add(own.filter_map(|finding| self.diagnostic(finding)).collect(), pipeline.variant.as_ref());
        }
        ManifestErrors::new(found.diagnostics().collect(), self.sources)
    }

    fn diagnostic(&self, finding: &Finding) -> Option<Diagnostic> {
        let places = self.variants.iter().find(|places| places.variant == finding.stage.variant)?;
        let (_, node) = places.stages.iter().find(|(id, _)| *id == finding.stage.stage)?;
        let problem = Diagnostic::of(node.at(&finding.path), finding.message.clone()).severity(finding.severity);
        Some(finding.notes.iter().cloned().fold(problem, Diagnostic::note).help(finding.help.clone()))
    }
}
