//! Whether networks can take the images that they are given.

use crate::artifact::ModelOutline;
use crate::manifest::{Finding, PipelineInputSource};
use crate::preflight::{Report, Scene, square};
use crate::stage::{
    ComputeMean, EvalView, Evaluate, ExtractFeatures, MeanPer, OversampleEval, PretrainedNetwork, StageSpec, Train, TrainView,
};

/// A model, as far as it is known before it is there.
enum Model {
    /// With the side of its input and what it sees of an image.
    Network { size: u32, view: EvalView },
    /// Takes features.
    Classifier,
}

/// What the parameters of the stages tell.
pub(super) fn check(scene: &Scene<'_>, report: &mut Report<'_>) {
    match &scene.stage.spec {
        StageSpec::Train(spec) => check_training(spec, scene, report),
        StageSpec::Evaluate(spec) => check_evaluation(spec, scene, report),
        StageSpec::OversampleEval(spec) => check_crops(spec, scene, report),
        StageSpec::ExtractFeatures(spec) => check_extraction(spec, scene, report),
        StageSpec::Pack(_) | StageSpec::ComputeMean(_) | StageSpec::TrainLogistic(_) | StageSpec::Command(_) => {}
    }
}

/// What the numbers of images tell.
pub(super) fn check_numbers(scene: &Scene<'_>, report: &mut Report<'_>) {
    let StageSpec::Train(spec) = &scene.stage.spec else { return };
    match scene.images("train").and_then(|images| images.count) {
        Some(count) if count < 2 => {
            report.error("train", format!("training takes two images at least; there is {count}"));
        }
        Some(count) if u64::from(spec.batch) > count => {
            let message = format!("the batch of {} is larger than the training set of {count} images: an epoch is one step", spec.batch);
            report.warning("batch", message);
        }
        _ => {}
    }
}

fn check_training(spec: &Train, scene: &Scene<'_>, report: &mut Report<'_>) {
    let (size, input) = (spec.input.size, &spec.input);
    let side = |name| scene.images(name).and_then(|images| images.side);
    if let Some(side) = side("train").filter(|side| input.train == TrainView::RandomCrop && size > *side) {
        let finding = too_small(report, ["train", "input.size"], [side, size]);
        finding.help = Some("pack them larger, make the input smaller, or take whole images with `train: resize`".to_owned());
    }
    if let Some(side) = side("val").filter(|side| input.eval == EvalView::CenterCrop && size > *side) {
        let finding = too_small(report, ["val", "input.size"], [side, size]);
        finding.help = Some("pack them larger, make the input smaller, or take whole images with `eval: resize`".to_owned());
    }
    if let Some(StageSpec::ComputeMean(ComputeMean { per: MeanPer::Pixel, .. })) = scene.producer("mean") {
        let resized = [("train", input.train == TrainView::Resize), ("val", input.eval == EvalView::Resize)];
        for (name, _) in resized.into_iter().filter(|(name, is_resized)| *is_resized && side(name).is_some_and(|side| side != size)) {
            let packed = square(side(name).unwrap_or(size));
            let message = format!(
                "`{name}` has images of {packed} pixels, which would be resized to {}, but a mean for every pixel does not allow that",
                square(size)
            );
            report.error("mean", message).help =
                Some(format!("use crops, pack the images at {size} pixels, or take the mean of every channel"));
        }
    }
}

fn check_evaluation(spec: &Evaluate, scene: &Scene<'_>, report: &mut Report<'_>) {
    match model(scene, report) {
        Some(Model::Classifier) if spec.images.is_some() => {
            report.error("model", "this model takes features: give `features` instead of `images`");
        }
        Some(Model::Network { .. }) if spec.features.is_some() => {
            report.error("model", "this model takes images: give `images` instead of `features`");
        }
        Some(Model::Network { size, view: EvalView::CenterCrop }) => {
            if let Some(side) = scene.images("images").and_then(|images| images.side).filter(|side| size > *side) {
                too_small(report, ["images", "images"], [side, size]);
            }
        }
        Some(Model::Network { .. } | Model::Classifier) | None => {}
    }
}

fn check_crops(_: &OversampleEval, scene: &Scene<'_>, report: &mut Report<'_>) {
    match (model(scene, report), scene.images("images").and_then(|images| images.side)) {
        (Some(Model::Classifier), _) => {
            report.error("model", "this model takes features, of which there are no crops: use `evaluate`");
        }
        (Some(Model::Network { size, .. }), Some(side)) if size == side => {
            let message = format!("the images are {} pixels, as the network's input is, so that all crops are the same", square(side));
            report.error("images", message).help = Some("pack them larger, or make the network's input smaller".to_owned());
        }
        (Some(Model::Network { size, .. }), Some(side)) if size > side => {
            let finding = too_small(report, ["images", "images"], [side, size]);
            finding.help = Some("pack them larger, or make the network's input smaller".to_owned());
        }
        _ => {}
    }
}

fn check_extraction(spec: &ExtractFeatures, scene: &Scene<'_>, report: &mut Report<'_>) {
    let (size, view, place) = match (spec.network, model(scene, report)) {
        (Some(network), _) => {
            let (size, smallest) = (spec.size.unwrap_or(PretrainedNetwork::SIZE), network.smallest_input());
            if size < smallest {
                report.error("size", format!("{} needs images of {smallest} pixels or more, not {size}", network.name()));
            }
            (size, spec.view.unwrap_or_default(), if spec.size.is_some() { "size" } else { "view" })
        }
        (None, Some(Model::Network { size, view })) => (size, spec.view.unwrap_or(view), "view"),
        (None, Some(Model::Classifier)) => {
            report.error("model", "this model takes features itself; features are made by networks");
            return;
        }
        (None, None) => return,
    };
    for (input, _) in spec.sets().into_iter().filter(|_| view == EvalView::CenterCrop) {
        if let Some(side) = scene.images(input).and_then(|images| images.side).filter(|side| size > *side) {
            let finding = too_small(report, [input, place], [side, size]);
            finding.help = Some("pack them larger, or take whole images with `view: resize`".to_owned());
        }
    }
}

/// The model of a stage: of a training in the same pipeline, or a file's.
fn model(scene: &Scene<'_>, report: &mut Report<'_>) -> Option<Model> {
    match (scene.source("model")?, scene.producer("model")) {
        (_, Some(StageSpec::Train(train))) => Some(Model::Network { size: train.input.size, view: train.input.eval }),
        (_, Some(StageSpec::TrainLogistic(_))) => Some(Model::Classifier),
        (PipelineInputSource::File(path), _) => match ModelOutline::read(path) {
            Ok(ModelOutline { header: Some(header), .. }) => Some(header.input.map_or(Model::Classifier, |input| {
                let view = if input.eval == "center-crop" { EvalView::CenterCrop } else { EvalView::Resize };
                Model::Network { size: input.size, view }
            })),
            Ok(_) => {
                report.error("model", "these are weights, not a model from a `train` stage");
                None
            }
            Err(error) => {
                report.error("model", error.to_string());
                None
            }
        },
        _ => None,
    }
}

/// The images of an input are smaller than what is cut out of them.
fn too_small<'r>(report: &'r mut Report<'_>, [input, place]: [&str; 2], [side, size]: [u32; 2]) -> &'r mut Finding {
    report.error(place, format!("`{input}` has images of {} pixels, too small for crops of {}", square(side), square(size)))
}
