//! What a page is about: a run, or one variant of it, with its sections.

use std::borrow::Cow;

use maud::{Markup, html};

use crate::artifact::{History, HistoryEpoch};
use crate::dossier::{Chapter, Dossier, Finding, StageDossier};
use crate::record::{Label, StageState};
use crate::report::html::{curves, evaluation, graph, pictures, provenance};
use crate::report::phrase;

/// One run or variant on the page.
pub(super) struct Subject<'a> {
    /// As it stands in tables and legends.
    pub(super) name: String,
    /// Of its element; other ids within it begin so.
    pub(super) id: String,
    pub(super) chapter: &'a Chapter,
    /// Of the whole run.
    warnings: &'a [String],
    /// Whether the run goes on.
    pub(super) is_live: bool,
    /// Whether the page has others.
    is_one_of_many: bool,
}

impl<'a> Subject<'a> {
    /// Every variant of every run, in order.
    pub(super) fn all(dossiers: &'a [Dossier], is_live: bool) -> Vec<Subject<'a>> {
        let several_runs = dossiers.len() > 1;
        let is_one_of_many = dossiers.iter().map(|dossier| dossier.chapters.len()).sum::<usize>() > 1;
        let mut subjects = Vec::new();
        for dossier in dossiers {
            for chapter in &dossier.chapters {
                let record = &dossier.record;
                let run = record.name.as_ref().map_or(record.id.as_str(), Label::as_str);
                let name = match &chapter.variant {
                    Some(variant) if several_runs => format!("{run} {}", variant.variant),
                    Some(variant) => variant.variant.to_string(),
                    None => run.to_owned(),
                };
                subjects.push(Subject {
                    name,
                    id: format!("s{}", subjects.len()),
                    chapter,
                    warnings: &record.warnings,
                    is_live,
                    is_one_of_many,
                });
            }
        }
        subjects
    }

    /// Ids and headings of the sections that it has.
    pub(super) fn sections(&self) -> Vec<(String, &'static str)> {
        let has = |wanted: fn(&Finding) -> bool| self.findings().any(|(_, finding)| wanted(finding));
        let sections = [
            ("stages", "Stages", true),
            ("training", "Training", !self.histories().is_empty()),
            (
                "evaluation",
                "Evaluation",
                has(|finding| matches!(finding, Finding::Evaluation(_) | Finding::Oversample(_) | Finding::Mistakes(_))),
            ),
            ("images", "Images", has(|finding| matches!(finding, Finding::Packed { .. } | Finding::Mean { .. } | Finding::Augmented(_)))),
        ];
        let there = sections.into_iter().filter(|(_, _, is_there)| *is_there);
        there.map(|(id, text, _)| (format!("{}-{id}", self.id), text)).collect()
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = (&'a StageDossier, &'a Finding)> {
        self.chapter.stages.iter().flat_map(|stage| stage.findings.iter().map(move |finding| (stage, finding)))
    }

    /// The trainings: of one that ended its whole history, else the epochs that the run's record has.
    pub(super) fn histories(&self) -> Vec<(&'a StageDossier, Cow<'a, History>)> {
        let history = |stage: &'a StageDossier| {
            let found = stage.findings.iter().find_map(|finding| match finding {
                Finding::History(history) => Some(Cow::Borrowed(history)),
                _ => None,
            });
            let epochs = &stage.record.epochs;
            let recorded = || (!epochs.is_empty()).then(|| Cow::Owned(History { epochs: epochs.iter().map(HistoryEpoch::from).collect() }));
            found.or_else(recorded).filter(|_| stage.shown_before.is_none())
        };
        self.chapter.stages.iter().filter_map(|stage| Some((stage, history(stage)?))).collect()
    }

    pub(super) fn article(&self) -> Markup {
        html! {
            article #(self.id) {
                @if self.is_one_of_many { h2.subject { (self.name) } }
                @for (_, part) in self.parts() { (part) }
            }
        }
    }

    /// What its article is made of, with the ids of the elements.
    pub(super) fn parts(&self) -> Vec<(String, Markup)> {
        let mut parts = vec![(format!("{}-tiles", self.id), self.tiles())];
        if self.has_troubles() {
            parts.push((format!("{}-troubles", self.id), self.troubles()));
        }
        for (id, text) in self.sections() {
            let part = format!("part-{id}");
            let section = html! {
                section #(part) aria-labelledby=(id) {
                    h2 #(id) { (text) @if self.is_one_of_many { span.of { " · " (self.name) } } }
                    (self.body(text))
                }
            };
            parts.push((part, section));
        }
        parts
    }

    fn body(&self, section: &str) -> Markup {
        match section {
            "Stages" => html! { (graph::figure(self)) (provenance::stages(self)) },
            "Training" => curves::section(self),
            "Evaluation" => evaluation::section(self),
            _ => pictures::section(self),
        }
    }

    /// The numbers that people ask for first.
    fn tiles(&self) -> Markup {
        let metrics = self.chapter.stages.iter().flat_map(|stage| stage.record.metrics.iter().map(move |metric| (stage, metric)));
        html! {
            dl.tiles #(format!("{}-tiles", self.id)) {
                @for (stage, metric) in metrics {
                    div { dt { (metric.name) small { (stage.record.stage.stage) } } dd { (phrase::metric(&metric.name, metric.value)) } }
                }
                div { dt { "stages run" small { "of " (self.chapter.stages.len()) } } dd { (self.ran()) } }
            }
        }
    }

    fn ran(&self) -> usize {
        let ran = |stage: &&StageDossier| matches!(stage.record.state, StageState::Finished | StageState::Unpublished);
        self.chapter.stages.iter().filter(ran).count()
    }

    fn has_troubles(&self) -> bool {
        let has_some = |StageDossier { record, missing, .. }: &StageDossier| {
            record.error.is_some() || !record.warnings.is_empty() || !missing.is_empty() || !record.output.skipped.is_empty()
        };
        !self.warnings.is_empty() || self.chapter.stages.iter().any(has_some)
    }

    /// Errors, warnings, and what could not be shown.
    fn troubles(&self) -> Markup {
        html! {
            div.troubles #(format!("{}-troubles", self.id)) role="note" {
                h3 { "To know" }
                ul {
                    @for warning in self.warnings { li { (warning) } }
                    @for stage in &self.chapter.stages {
                        @let name = &stage.record.stage.stage;
                        @if let Some(error) = &stage.record.error { li.error { strong { (name) " failed: " } (error) } }
                        @for warning in &stage.record.warnings { li { strong { (name) ": " } (warning) } }
                        @for skipped in stage.record.output.skipped.iter().take(20) {
                            li { strong { (name) " left out " } (skipped.path) ": " (skipped.reason) }
                        }
                        @if stage.record.output.skipped.len() > 20 { li { "and " (stage.record.output.skipped.len() - 20) " more images" } }
                        @for missing in &stage.missing { li { strong { (name) ": " } (missing) } }
                    }
                }
            }
        }
    }
}
