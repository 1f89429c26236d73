//! What `pack` stages will read, and what stages after them will find.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::artifact::ImagesFile;
use crate::key::{StageId, StagePath};
use crate::manifest::{Pipeline, PipelineInput, PipelineInputSource, PipelineStage};
use crate::preflight::{ClassSurvey, PackSurvey, PartSurvey, Report, Survey};
use crate::stage::{
    ArtifactType, Census, CensusInputs, ImageLocation, Labels, Pack, ParameterProblem, StageError, StageSpec, Subset, list_images,
};

/// How many classes are shown with their numbers.
const SHOWN: usize = 6;

/// Packed images as other stages will find them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackedImages {
    /// Side in pixels; none for files that are not square.
    pub side: Option<u32>,
    /// None where the images have not been counted.
    pub count: Option<u64>,
    pub classes: Option<u64>,
}

/// All packed images of a pipeline.
#[derive(Debug, Default)]
pub(super) struct Packed {
    outputs: BTreeMap<(StageId, String), PackedImages>,
    files: BTreeMap<PathBuf, PackedImages>,
}

/// The stages whose images were counted: variants share them.
#[derive(Debug, Default)]
pub(super) struct Counted {
    stages: Vec<(PipelineStage, Rc<Count>)>,
}

/// The images of a stage.
#[derive(Debug)]
struct Count {
    census: Census,
    /// Inputs that could not be listed, and why.
    unlisted: Vec<(String, String)>,
}

impl Packed {
    pub fn images(&self, source: &PipelineInputSource) -> Option<&PackedImages> {
        match source {
            PipelineInputSource::Output { stage, output } => self.outputs.get(&(stage.clone(), output.clone())),
            PipelineInputSource::File(path) => self.files.get(path),
            PipelineInputSource::ImageFolder(_) | PipelineInputSource::Folder(_) => None,
        }
    }

    fn add(&mut self, stage: &PipelineStage, spec: &Pack, census: Option<&Census>) {
        for subset in Subset::ALL.into_iter().filter(|subset| spec.produces(*subset)) {
            let counted = census.filter(|census| census.problems.is_empty());
            let images = PackedImages {
                side: Some(spec.size),
                count: counted.map(|census| census.part(subset)),
                classes: counted.map(|census| census.classes.len() as u64),
            };
            self.outputs.insert((stage.id.clone(), subset.as_str().to_owned()), images);
        }
    }
}

/// The sizes that the parameters tell; nothing is counted and no file is opened.
pub(super) fn from_parameters(pipeline: &Pipeline) -> Packed {
    let mut packed = Packed::default();
    for (stage, spec) in packs(pipeline) {
        packed.add(stage, spec, None);
    }
    packed
}

/// Lists, labels and splits the images of every `pack` stage, and opens files of packed images.
pub(super) fn survey(pipeline: &Pipeline, counted: &mut Counted, survey: &mut Survey) -> Packed {
    let mut packed = Packed::default();
    for (stage, spec) in packs(pipeline) {
        let path = pipeline.stage_path(&stage.id);
        let (count, is_new) = counted.count(stage, spec);
        tell(&count, spec, &mut Report { stage: path.clone(), findings: &mut survey.findings });
        packed.add(stage, spec, Some(&count.census));
        if is_new && !count.census.classes.is_empty() {
            survey.packs.push(summary(path, spec, &count.census));
        }
    }
    open_files(pipeline, &mut packed, survey);
    packed
}

fn summary(stage: StagePath, spec: &Pack, census: &Census) -> PackSurvey {
    let parts = Subset::ALL.into_iter().filter(|subset| spec.produces(*subset) && census.problems.is_empty());
    PackSurvey {
        stage,
        images: census.images(),
        classes: census.classes.iter().map(|class| ClassSurvey { name: class.name.clone(), images: class.images }).collect(),
        parts: parts.map(|subset| PartSurvey { name: subset.as_str(), images: census.part(subset) }).collect(),
        bytes: census.images() * u64::from(spec.size) * u64::from(spec.size) * 3,
    }
}

fn packs(pipeline: &Pipeline) -> impl Iterator<Item = (&PipelineStage, &Pack)> {
    pipeline.stages.iter().filter_map(|stage| match &stage.spec {
        StageSpec::Pack(spec) => Some((stage, spec)),
        _ => None,
    })
}

/// Reports what is wrong with the images of a stage.
fn tell(count: &Count, spec: &Pack, report: &mut Report<'_>) {
    let Count { census, unlisted } = count;
    for (input, reason) in unlisted {
        report.error(input, reason.clone());
    }
    let numbers = (!census.classes.is_empty()).then(|| numbers(census));
    for ParameterProblem { path, message, .. } in &census.problems {
        let finding = report.error(path, message.clone());
        finding.notes.extend(numbers.clone());
        finding.help = help(path, spec);
    }
    for ParameterProblem { path, message, .. } in &census.doubts {
        report.warning(path, message.clone()).notes.extend(numbers.clone().filter(|_| census.classes.len() > 1));
    }
}

/// The images of the largest classes.
fn numbers(census: &Census) -> String {
    let mut classes: Vec<_> = census.classes.iter().collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.images));
    let shown: Vec<String> = classes.iter().take(SHOWN).map(|class| format!("{} {}", class.name, class.images)).collect();
    let more = if classes.len() > SHOWN { format!(" and {} more classes", classes.len() - SHOWN) } else { String::new() };
    format!("the images are {}{more}", shown.join(", "))
}

fn help(path: &str, spec: &Pack) -> Option<String> {
    let labels = if path.ends_with("labels") { Some(&spec.labels) } else { None };
    matches!(labels, Some(Labels::ParentDir)).then(|| {
        "put the images into a folder for each class, or say where the class is: `labels: { filename: \"^(cat|dog)\" }`".to_owned()
    })
}

impl Counted {
    /// The images of a stage, and whether they were counted only now.
    fn count(&mut self, stage: &PipelineStage, spec: &Pack) -> (Rc<Count>, bool) {
        let is_same = |known: &PipelineStage| {
            (&known.id, &known.spec, known.seed, &known.inputs) == (&stage.id, &stage.spec, stage.seed, &stage.inputs)
        };
        if let Some((_, count)) = self.stages.iter().find(|(known, _)| is_same(known)) {
            return (Rc::clone(count), false);
        }
        let count = Rc::new(Count::of(stage, spec));
        self.stages.push((stage.clone(), Rc::clone(&count)));
        (count, true)
    }
}

impl Count {
    fn of(stage: &PipelineStage, spec: &Pack) -> Count {
        let mut inputs = CensusInputs::default();
        let mut unlisted = Vec::new();
        for PipelineInput { name, source } in &stage.inputs {
            match source {
                PipelineInputSource::File(path) => {
                    inputs.files.insert(name.clone(), path);
                }
                PipelineInputSource::ImageFolder(path) => match list(path) {
                    Ok(paths) => {
                        inputs.folders.insert(name.clone(), (path, paths));
                    }
                    Err(error) => unlisted.push((name.clone(), error.to_string())),
                },
                PipelineInputSource::Output { .. } | PipelineInputSource::Folder(_) => {}
            }
        }
        Count { census: spec.census(&inputs, stage.seed), unlisted }
    }
}

fn list(path: &Path) -> Result<Vec<String>, StageError> {
    match ImageLocation::find(path) {
        Some(ImageLocation::Packed(packed)) => {
            let scratch = tempfile::tempdir().map_err(|source| StageError::Io { path: path.to_owned(), source })?;
            packed.list_names(scratch.path())
        }
        _ => list_images(path),
    }
}

/// Opens every file that is given as packed images.
fn open_files(pipeline: &Pipeline, packed: &mut Packed, survey: &mut Survey) {
    for stage in &pipeline.stages {
        let mut report = Report { stage: pipeline.stage_path(&stage.id), findings: &mut survey.findings };
        for (declared, input) in stage.spec.inputs().iter().zip(&stage.inputs) {
            let PipelineInputSource::File(path) = &input.source else { continue };
            if declared.accepts != [ArtifactType::Images] {
                continue;
            }
            match ImagesFile::open(path) {
                Ok(file) => {
                    let (height, width) = file.size();
                    let side = u32::try_from(height).ok().filter(|_| height == width);
                    let classes = Some(file.rows().label_names.len() as u64);
                    packed.files.insert(path.clone(), PackedImages { side, count: Some(file.len() as u64), classes });
                }
                Err(error) => {
                    report.error(&input.name, error.to_string());
                }
            }
        }
    }
}
