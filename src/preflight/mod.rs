//! What would make a run fail, or hardly do what was meant, found before it starts: images without labels, splits larger than
//! their set, weights of another network, inputs that a network cannot take, too little room.
//!
//! Looks at files and at how stages fit together, through the stages' own rules; opens no image. Knows nothing of the cache: what
//! it finds is true whether or not earlier results are there.

mod machine;
mod networks;
mod packing;
mod room;
mod weights;

use serde::Serialize;

use crate::key::StagePath;
use crate::manifest::{Family, Finding, Pipeline, PipelineInputSource, PipelineStage, Severity};
use crate::stage::{MemorySize, StageSpec};

pub use machine::{Machine, machine_memory};
use packing::{Counted, Packed};

/// What a pipeline will read and take, and what is wrong with that.
#[derive(Debug, Default)]
pub struct Survey {
    pub findings: Vec<Finding>,
    /// Each once, also where several variants share it.
    pub packs: Vec<PackSurvey>,
    pub trainings: Vec<TrainingSurvey>,
}

/// What a `pack` stage will read and write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackSurvey {
    #[serde(flatten)]
    pub stage: StagePath,
    pub images: u64,
    pub classes: Vec<ClassSurvey>,
    /// What it makes of them; nothing where the split cannot be made.
    pub parts: Vec<PartSurvey>,
    /// Bytes of pixels written.
    pub bytes: u64,
}

/// The images of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassSurvey {
    pub name: String,
    pub images: u64,
}

/// A part of the split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartSurvey {
    pub name: &'static str,
    pub images: u64,
}

/// What a training takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrainingSurvey {
    #[serde(flatten)]
    pub stage: StagePath,
    pub network: &'static str,
    /// Side of the input in pixels.
    pub size: u32,
    /// Numbers that are learnt.
    pub weights: u64,
    pub batch: u32,
    /// Of the CPU, if it runs there; an estimate.
    pub memory: MemorySize,
}

/// What the parameters of stages and the headers of weights files tell: cheap enough for every run.
pub fn conflicts(family: &Family) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pipeline in &family.variants {
        let packed = packing::from_parameters(pipeline);
        for stage in &pipeline.stages {
            let scene = Scene { pipeline, stage, packed: &packed };
            let mut report = Report { stage: pipeline.stage_path(&stage.id), findings: &mut findings };
            networks::check(&scene, &mut report);
            weights::check(&scene, &mut report);
        }
    }
    findings
}

/// All that can be known before a run: besides [`conflicts`] what a look at folders, files and the machine tells.
pub fn check(family: &Family, machine: &Machine) -> Survey {
    let mut survey = Survey::default();
    let mut counted = Counted::default();
    for pipeline in &family.variants {
        let packed = packing::survey(pipeline, &mut counted, &mut survey);
        for stage in &pipeline.stages {
            let scene = Scene { pipeline, stage, packed: &packed };
            let mut report = Report { stage: pipeline.stage_path(&stage.id), findings: &mut survey.findings };
            networks::check(&scene, &mut report);
            networks::check_numbers(&scene, &mut report);
            weights::check(&scene, &mut report);
            if let Some(training) = room::check_memory(&scene, machine, &mut report) {
                let is_known = |known: &TrainingSurvey| TrainingSurvey { stage: training.stage.clone(), ..known.clone() } == training;
                if !survey.trainings.iter().any(|known| known.stage.stage == training.stage.stage && is_known(known)) {
                    survey.trainings.push(training);
                }
            }
        }
    }
    room::check_disk(machine, &mut survey);
    survey
}

/// A stage among those that it has to do with.
struct Scene<'a> {
    pipeline: &'a Pipeline,
    stage: &'a PipelineStage,
    packed: &'a Packed,
}

/// Takes findings about one stage.
struct Report<'a> {
    stage: StagePath,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Scene<'a> {
    fn source(&self, input: &str) -> Option<&'a PipelineInputSource> {
        self.stage.inputs.iter().find(|known| known.name == input).map(|known| &known.source)
    }

    /// The stage whose output an input is.
    fn producer(&self, input: &str) -> Option<&'a StageSpec> {
        let PipelineInputSource::Output { stage: from, .. } = self.source(input)? else { return None };
        self.pipeline.stages.iter().find(|stage| stage.id == *from).map(|stage| &stage.spec)
    }

    fn images(&self, input: &str) -> Option<&'a packing::PackedImages> {
        self.packed.images(self.source(input)?)
    }
}

impl Report<'_> {
    fn error(&mut self, path: &str, message: impl Into<String>) -> &mut Finding {
        self.push(path, Severity::Error, message.into())
    }

    fn warning(&mut self, path: &str, message: impl Into<String>) -> &mut Finding {
        self.push(path, Severity::Warning, message.into())
    }

    fn push(&mut self, path: &str, severity: Severity, message: String) -> &mut Finding {
        let (stage, path) = (self.stage.clone(), path.to_owned());
        self.findings.push(Finding { stage, path, severity, message, notes: Vec::new(), help: None });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }
}

/// A size of square images as people write it.
fn square(side: u32) -> String {
    format!("{side}×{side}")
}
