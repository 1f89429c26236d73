//! Where results come from: outcome, times, keys, digests, parameters, versions, the manifest.

use maud::{Markup, html};
use serde_json::Value;

use crate::dossier::{Dossier, FileState, StageDossier};
use crate::event::RunOutcome;
use crate::record::RunRecord;
use crate::report::html::subject::Subject;
use crate::report::html::{evaluation, graph};
use crate::report::{bytes, list, phrase, seconds};

/// A line about a run for the top of the page; of one that goes on, with how long it does.
pub(super) fn headline(record: &RunRecord, goes_on: Option<f64>) -> Markup {
    let (class, outcome) = match record.outcome {
        None if goes_on.is_some() => ("going", "● running"),
        Some(RunOutcome::Succeeded) => ("good", "✓ finished"),
        Some(RunOutcome::Failed) => ("bad", "✗ failed"),
        Some(RunOutcome::Interrupted) => ("bad", "interrupted"),
        Some(RunOutcome::Superseded) => ("bad", "gave way to a later run"),
        None => ("bad", "did not come to its end"),
    };
    let started = &record.provenance.started;
    html! {
        p.headline {
            span class={ "outcome " (class) } { (outcome) }
            " run " @if let Some(name) = &record.name { strong { (name) } " " } code { (record.id) } ", " time datetime=(started) { (moment(started)) } ", "
            @match goes_on { Some(now) => { "for " (phrase::whole_seconds(now)) } None => { "took " (seconds(record.seconds)) } }
        }
    }
}

/// Every stage of a subject with its time.
pub(super) fn stages(subject: &Subject<'_>) -> Markup {
    let stages = &subject.chapter.stages;
    let longest = stages.iter().map(|stage| stage.record.seconds).fold(0.0, f64::max);
    let part = |stage: &StageDossier| if longest > 0.0 { stage.record.seconds / longest } else { 0.0 };
    html! {
        div.scroll tabindex="0" role="group" aria-label="Stages" {
            table.sortable {
                caption { "Times of reused stages are those of when they ran." }
                thead { tr { th scope="col" { "stage" } th scope="col" { "kind" } th scope="col" { "result" } th.number scope="col" { "time" } th.number scope="col" { "size" } } }
                tbody { @for stage in stages { tr {
                    th scope="row" { (stage.record.stage.stage) }
                    td { (stage.record.kind) }
                    td { (graph::state(stage, subject.is_live).1) }
                    td.number data-value=(stage.record.seconds) {
                        @if stage.record.key.is_some() { (seconds(stage.record.seconds)) (evaluation::bar(part(stage), "l0")) }
                    }
                    td.number data-value=(stage.result.iter().flat_map(|result| &result.files).map(|file| file.size).sum::<u64>()) { (graph::size(stage).unwrap_or_default()) }
                } } }
            }
        }
        @for stage in stages.iter().filter(|stage| !stage.record.changes.is_empty()) {
            @if stage.record.changes.iter().any(|change| *change != crate::key::Change::NeverRan) {
                details { summary { "Why " (stage.record.stage.stage) " ran" } ul { @for change in &stage.record.changes { li { (change) } } } }
            }
        }
    }
}

/// The provenance of a run.
pub(super) fn of_run(dossier: &Dossier, index: usize, runs: usize) -> Markup {
    let record = &dossier.record;
    let provenance = &record.provenance;
    let id = format!("provenance-{index}");
    html! {
        section.provenance #(format!("part-{id}")) aria-labelledby=(id) {
            h2 #(id) { "Provenance" @if runs > 1 { span.of { " · " (record.id) } } }
            dl.facts {
                dt { "pipeline" } dd { (provenance.pipeline) }
                dt { "run" } dd { code { (record.id) } }
                @if let Some(name) = &record.name { dt { "name" } dd { (name) } }
                @if !record.tags.is_empty() { dt { "tags" } dd { (list(&record.tags.iter().collect::<Vec<_>>())) } }
                dt { "manifest" } dd { code { (provenance.manifest.display()) } }
                dt { "git commit" } dd { @match &provenance.git_commit { Some(commit) => { code { (commit) } @if provenance.git_dirty == Some(true) { ", with changes that are not committed" } } None => "not recorded: nothing ran, or no repository" } }
                dt { "packtrain" } dd { (provenance.tool) }
                @for (name, value) in environment(record) { dt { (name) } dd { (value) } }
                dt { "started" } dd { (moment(&provenance.started)) }
                dt { "took" } dd { (seconds(record.seconds)) }
            }
            @if !provenance.params.is_empty() {
                h3 { "Parameters" }
                dl.facts { @for (name, value) in &provenance.params { dt { (name) } dd { code { (plain(value)) } } } }
            }
            @for chapter in &dossier.chapters {
                h3 { "Keys and digests" @if let Some(variant) = &chapter.variant { span.of { " · " (variant.variant) } } }
                @for stage in &chapter.stages { (of_stage(stage)) }
            }
            h3 { "Manifest" }
            div.scroll tabindex="0" role="group" aria-label="Manifest" { pre { code { (provenance.manifest_text) } } }
        }
    }
}

/// The machine, and what the worker said of itself and of its device, each once.
fn environment(record: &RunRecord) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    for output in record.stages.iter().map(|stage| &stage.output) {
        facts.extend(output.device.clone().map(|device| ("device", device)));
        facts.extend(output.libtorch.clone().map(|version| ("libtorch", version)));
    }
    facts.sort();
    facts.dedup();
    if let Some(machine) = &record.provenance.environment {
        facts.extend(machine.system.clone().map(|system| ("system", system)));
        facts.extend(machine.kernel.clone().map(|kernel| ("kernel", kernel)));
        facts.extend(machine.cpu.clone().map(|cpu| ("processor", cpu)));
        facts.push(("cores", machine.cores.to_string()));
    }
    facts
}

fn of_stage(stage: &StageDossier) -> Markup {
    html! {
        details {
            summary { (stage.record.stage.stage) " " span.quiet { (stage.record.kind) @if let Some(key) = &stage.record.key { ", key " code { (key.short()) } } } }
            @match &stage.result {
                None => p { "No result is in the cache." },
                Some(result) => {
                    dl.facts {
                        @if let Some(key) = &stage.record.key { dt { "key" } dd { code.hash { (key) } } }
                        dt { "made" } dd { (moment(&result.finished)) " by packtrain " (result.tool) }
                        @if let Some(seed) = result.seed { dt { "seed" } dd { (seed) } }
                        @for (name, digest) in &result.inputs { dt { "input " (name) } dd { code.hash { (digest) } } }
                        @for file in &result.files {
                            dt { (file.file) }
                            dd { code.hash { (file.digest) } " " (bytes(file.size)) @match file.state {
                                FileState::Kept => {}
                                FileState::Gone => strong { ", no longer in the cache" },
                                FileState::Damaged => strong { ", damaged in the cache" },
                            } }
                        }
                    }
                    pre { code { (serde_json::to_string_pretty(&result.parameters).unwrap_or_default()) } }
                }
            }
        }
    }
}

/// A time to the second: `2026-01-02 03:04:05 UTC`.
pub(super) fn moment(rfc3339: &str) -> String {
    rfc3339.parse::<jiff::Timestamp>().map_or_else(|_| rfc3339.to_owned(), |moment| moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A value as it is written in a manifest.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
