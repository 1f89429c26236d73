//! Whether there is room for what a run takes: memory for trainings, disk for what is packed.

use crate::manifest::{Finding, Severity};
use crate::preflight::{Machine, Report, Scene, Survey, TrainingSurvey};
use crate::stage::{MemorySize, StageSpec, Train};

/// What a training takes, compared with what it asks for or else with what the machine has; none for other stages.
pub(super) fn check_memory(scene: &Scene<'_>, machine: &Machine, report: &mut Report<'_>) -> Option<TrainingSurvey> {
    let StageSpec::Train(spec) = &scene.stage.spec else { return None };
    let classes = scene.images("train").and_then(|images| images.classes).unwrap_or(1);
    let memory = spec.memory(classes)?;
    let of_network = |batch| format!("{} with a batch of {batch} takes about {memory} of memory", spec.model.name());
    let (room, finding) = match scene.stage.execution.needs.memory {
        Some(needs) if memory > needs => (needs, Some(report.warning("needs.memory", format!("{}, not {needs}", of_network(spec.batch))))),
        None if memory > machine.memory => {
            let message = format!("{}; this machine has {}", of_network(spec.batch), machine.memory);
            (machine.memory, Some(report.warning("batch", message)))
        }
        needs => (needs.unwrap_or(machine.memory), None),
    };
    if let Some(finding) = finding {
        finding.notes.push("this is so on the CPU; on a GPU most of it is the card's memory".to_owned());
        finding.help = smaller(spec, classes, room);
    }
    Some(TrainingSurvey {
        stage: report.stage.clone(),
        network: spec.model.name(),
        size: spec.input.size,
        weights: spec.model.sketch(spec.input.size, classes)?.weights(),
        batch: spec.batch,
        memory,
    })
}

/// A batch that there is room for.
fn smaller(spec: &Train, classes: u64, room: MemorySize) -> Option<String> {
    let halves = std::iter::successors(Some(spec.batch / 2), |batch| Some(batch / 2)).take_while(|batch| *batch >= 2);
    let sizes = halves.map(|batch| (batch, Train { batch, ..spec.clone() }.memory(classes)));
    let (batch, memory) = sizes.filter_map(|(batch, memory)| Some((batch, memory?))).find(|(_, memory)| *memory <= room)?;
    Some(format!("`batch: {batch}` takes about {memory}"))
}

/// Compares what all `pack` stages write with what is free.
pub(super) fn check_disk(machine: &Machine, survey: &mut Survey) {
    let total: u64 = survey.packs.iter().map(|pack| pack.bytes).sum();
    let (Some(free), Some(largest)) = (machine.free, survey.packs.iter().max_by_key(|pack| pack.bytes)) else { return };
    if total <= free {
        return;
    }
    let message = format!("the packed images take {}, but {} are free in {}", MemorySize(total), MemorySize(free), machine.state.display());
    survey.findings.push(Finding {
        stage: largest.stage.clone(),
        path: "size".to_owned(),
        severity: Severity::Warning,
        message,
        notes: vec!["what is there from an earlier run is not written again".to_owned()],
        help: Some("make room, pack smaller images, or put the cache elsewhere with `--state-dir FOLDER`".to_owned()),
    });
}
