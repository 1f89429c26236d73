//! The runs of a project as a page.

use maud::{Markup, html};

use crate::event::RunOutcome;
use crate::record::{Label, RunRecord};
use crate::report::history;
use crate::report::html::shell::{Place, Shell};
use crate::report::html::{Part, part};
use crate::report::phrase;

/// A run of the list.
#[derive(Debug, Clone)]
pub struct ListedRun {
    pub record: RunRecord,
    pub is_running: bool,
}

/// The runs that are listed, the latest first.
#[derive(Debug, Clone, Copy)]
pub struct RunList<'a> {
    pub runs: &'a [ListedRun],
    /// How many earlier ones are not listed.
    pub earlier: usize,
    /// The only pipeline that is of interest.
    pub pipeline: Option<&'a str>,
}

impl RunList<'_> {
    /// The page; `stream` is where it comes from anew when it changes.
    pub fn served(&self, stream: &str) -> String {
        let title = self.pipeline.map_or_else(|| "Runs".to_owned(), |pipeline| format!("Runs of {pipeline}"));
        let body = html! {
            header.page #head { p.brand { "packtrain" } h1 { (title) } }
            (self.table())
        };
        Shell { title: &title, place: Place::Server { stream: Some(stream) } }.around(&body).into_string()
    }

    /// What changes.
    pub fn parts(&self) -> Vec<Part> {
        vec![part("main", self.table())]
    }

    fn table(&self) -> Markup {
        html! {
            main #main tabindex="-1" {
                @if self.runs.is_empty() {
                    p { "There is no run yet. " code { "packtrain run MANIFEST" } " starts one, and it appears here." }
                } @else {
                    div.scroll tabindex="0" role="group" aria-label="Runs" { table.runs {
                        thead { tr {
                            @for name in ["run", "pipeline", "outcome", "started", "took", "stages", "metrics"] { th scope="col" { (name) } }
                        } }
                        tbody { @for run in self.runs { (row(run)) } }
                    } }
                }
                @if self.earlier > 0 { p.quiet { "and " (phrase::grouped(self.earlier as u64)) " earlier; " code { "packtrain history" } " lists them." } }
            }
        }
    }
}

fn row(ListedRun { record, is_running }: &ListedRun) -> Markup {
    let provenance = &record.provenance;
    let class = match record.outcome {
        Some(RunOutcome::Succeeded) => "outcome good",
        None if *is_running => "outcome going",
        _ => "outcome bad",
    };
    html! {
        tr #(format!("run-{}", record.id)) {
            th scope="row" {
                a href={ "/run/" (record.id) } { (record.name.as_ref().map_or(record.id.as_str(), Label::as_str)) }
                @for tag in &record.tags { " " span.tag { (tag) } }
            }
            td { (provenance.pipeline) }
            td { span class=(class) { (history::standing(record, *is_running)) } }
            td.nowrap { time datetime=(provenance.started) { (history::when(&provenance.started)) } }
            td.nowrap { (phrase::whole_seconds(record.seconds)) }
            td { (history::stages(record.tally())) }
            td { (history::metrics(record)) }
        }
    }
}
