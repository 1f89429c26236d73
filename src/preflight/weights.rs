//! Whether a file of weights has the tensors of its network.

use std::path::Path;

use crate::artifact::ModelOutline;
use crate::manifest::PipelineInputSource;
use crate::preflight::{Report, Scene};
use crate::stage::{PretrainedNetwork, StageSpec, TensorShape};

/// How many tensors are named.
const SHOWN: usize = 3;

pub(super) fn check(scene: &Scene<'_>, report: &mut Report<'_>) {
    let StageSpec::ExtractFeatures(spec) = &scene.stage.spec else { return };
    if let (Some(network), Some(PipelineInputSource::File(path))) = (spec.network, scene.source("weights")) {
        check_file(network, path, report);
    }
}

fn check_file(network: PretrainedNetwork, path: &Path, report: &mut Report<'_>) {
    let outline = match ModelOutline::read(path) {
        Ok(outline) => outline,
        Err(error) => {
            report.error("weights.file", error.to_string());
            return;
        }
    };
    let unfit = Unfit::of(network, &outline);
    if unfit.is_empty() {
        return;
    }
    let likely = PretrainedNetwork::ALL.into_iter().find(|other| Unfit::of(*other, &outline).is_empty());
    let finding = report.error("weights.file", format!("these are not the weights of {}", network.name()));
    finding.notes.extend(unfit.notes());
    if let Some(likely) = likely {
        finding.help = Some(format!("they have the tensors of {0}: is `network: {0}` meant?", likely.name()));
    } else if let Some(header) = outline.header {
        finding.help = Some(format!("this is a model that packtrain trained, {}: give it as `model`", header.architecture));
    } else {
        let some = outline.tensors.iter().take(SHOWN).map(|(name, shape)| format!("{name} {shape:?}"));
        finding.notes.push(format!("the file has {} tensors, such as {}", outline.tensors.len(), some.collect::<Vec<_>>().join(", ")));
    }
}

/// The tensors of a network that a file does not have.
struct Unfit {
    all: usize,
    missing: Vec<TensorShape>,
    /// With the shape that they have in the file.
    misshapen: Vec<(TensorShape, Vec<usize>)>,
}

impl Unfit {
    fn of(network: PretrainedNetwork, outline: &ModelOutline) -> Unfit {
        let sketch = network.sketch(PretrainedNetwork::SIZE).unwrap_or_default();
        let mut unfit = Unfit { all: sketch.tensors().len(), missing: Vec::new(), misshapen: Vec::new() };
        for tensor in sketch.tensors() {
            match outline.tensors.get(&tensor.name) {
                None => unfit.missing.push(tensor.clone()),
                Some(shape) if !shape.iter().map(|side| *side as u64).eq(tensor.shape.iter().copied()) => {
                    unfit.misshapen.push((tensor.clone(), shape.clone()));
                }
                Some(_) => {}
            }
        }
        unfit
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty()
    }

    fn notes(&self) -> Vec<String> {
        let missing = self.missing.iter().take(SHOWN).map(|tensor| format!("{} {:?}", tensor.name, tensor.shape));
        let missing = (!self.missing.is_empty()).then(|| {
            let (number, all) = (self.missing.len(), self.all);
            format!("{number} of its {all} tensors are missing: {}{}", missing.collect::<Vec<_>>().join(", "), more(number))
        });
        let misshapen = self.misshapen.iter().take(SHOWN);
        let misshapen = misshapen.map(|(tensor, shape)| format!("{} is {shape:?}, not {:?}", tensor.name, tensor.shape));
        let misshapen = (!self.misshapen.is_empty()).then(|| {
            let number = self.misshapen.len();
            let have = if number == 1 { "has" } else { "have" };
            format!("{number} {have} another shape: {}{}", misshapen.collect::<Vec<_>>().join(", "), more(number))
        });
        missing.into_iter().chain(misshapen).collect()
    }
}

fn more(number: usize) -> &'static str {
    if number > SHOWN { ", …" } else { "" }
}
