//! A run, or a comparison of several, as a page: as one HTML file that needs nothing else, no network, no other file, and no script
//! but the one that sorts tables; or as a page of `packtrain ui`, which changes while the run goes on.
//!
//! Only shows a [`Dossier`]; where that comes from it does not know. Text is escaped by `maud`; what is not escaped is the page's
//! own style and script, which its content security policy admits by their hashes, and nothing else.

mod chart;
mod comparison;
mod curves;
mod evaluation;
mod graph;
mod live;
mod pictures;
mod provenance;
mod runs;
mod shell;
mod subject;

use std::io::{self, Write};

use maud::{Markup, html};
use serde::Serialize;

use crate::dossier::Dossier;
use crate::report::LiveRun;
use crate::report::html::shell::{Place, Shell};
use crate::report::html::subject::Subject;

pub use runs::{ListedRun, RunList};
pub use shell::{message_page, server_policy};

/// A part of a page that can be replaced while the page is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Of its element.
    pub id: String,
    /// The element.
    pub html: String,
}

/// A run, or several that are compared, for a page.
#[derive(Debug, Clone, Copy)]
pub struct RunPage<'a> {
    dossiers: &'a [Dossier],
    live: Option<Live<'a>>,
}

/// A run that goes on, at a moment.
#[derive(Debug, Clone, Copy)]
struct Live<'a> {
    run: &'a LiveRun,
    /// In seconds after the run's beginning.
    now: f64,
}

/// Writes the page as a file of its own.
pub fn write_page(dossiers: &[Dossier], out: &mut dyn Write) -> io::Result<()> {
    let page = RunPage::over(dossiers);
    out.write_all(page.in_shell(Place::File).into_string().as_bytes())
}

impl<'a> RunPage<'a> {
    /// Of runs that are over.
    pub fn over(dossiers: &'a [Dossier]) -> RunPage<'a> {
        RunPage { dossiers, live: None }
    }

    /// Of a run that goes on, `now` seconds after its beginning.
    pub fn live(dossier: &'a Dossier, run: &'a LiveRun, now: f64) -> RunPage<'a> {
        RunPage { dossiers: std::slice::from_ref(dossier), live: Some(Live { run, now }) }
    }

    /// The page as a server gives it; `stream` is where its parts come from as they change.
    pub fn served(&self, stream: Option<&str>) -> String {
        self.in_shell(Place::Server { stream }).into_string()
    }

    /// The parts that change one by one. When others come or go, `whole` has them all.
    pub fn parts(&self) -> Vec<Part> {
        let subjects = self.subjects();
        let mut parts = vec![part("head", self.head()), part("contents", contents(&subjects))];
        parts.extend(self.leaves(&subjects));
        parts
    }

    /// The parts that everything else is in.
    pub fn whole(&self) -> Vec<Part> {
        let subjects = self.subjects();
        vec![part("head", self.head()), part("contents", contents(&subjects)), part("main", self.main(&subjects))]
    }

    fn subjects(&self) -> Vec<Subject<'a>> {
        Subject::all(self.dossiers, self.live.is_some())
    }

    fn in_shell(&self, place: Place<'_>) -> Markup {
        let subjects = self.subjects();
        let title = title(self.dossiers);
        let body = html! { (self.head()) (contents(&subjects)) (self.main(&subjects)) };
        Shell { title: &title, place }.around(&body)
    }

    fn head(&self) -> Markup {
        html! {
            header.page #head {
                p.brand { "packtrain report" }
                h1 { (title(self.dossiers)) }
                @for dossier in self.dossiers { (provenance::headline(&dossier.record, self.live.map(|live| live.now))) }
            }
        }
    }

    fn main(&self, subjects: &[Subject<'_>]) -> Markup {
        html! {
            main #main tabindex="-1" {
                @if let Some(live) = &self.live { (live.now_section()) }
                @if subjects.len() > 1 { (comparison::section(subjects)) }
                @for subject in subjects { (subject.article()) }
                @if let Some(live) = &self.live { (live.log_section()) }
                @for (index, dossier) in self.dossiers.iter().enumerate() { (provenance::of_run(dossier, index, self.dossiers.len())) }
            }
        }
    }

    /// What [`RunPage::main`] is made of.
    fn leaves(&self, subjects: &[Subject<'_>]) -> Vec<Part> {
        let mut parts = Vec::new();
        parts.extend(self.live.map(|live| part("now", live.now_section())));
        if subjects.len() > 1 {
            parts.push(part("part-comparison", comparison::section(subjects)));
        }
        for subject in subjects {
            parts.extend(subject.parts().into_iter().map(|(id, markup)| part(id, markup)));
        }
        parts.extend(self.live.map(|live| part("log", live.log_section())));
        for (index, dossier) in self.dossiers.iter().enumerate() {
            parts.push(part(format!("part-provenance-{index}"), provenance::of_run(dossier, index, self.dossiers.len())));
        }
        parts
    }
}

fn part(id: impl Into<String>, markup: Markup) -> Part {
    Part { id: id.into(), html: markup.into_string() }
}

fn title(dossiers: &[Dossier]) -> String {
    let mut pipelines: Vec<&str> = dossiers.iter().map(|dossier| dossier.record.provenance.pipeline.as_str()).collect();
    pipelines.dedup();
    match dossiers {
        [_] => pipelines.join(""),
        _ => format!("{}: {} runs compared", pipelines.join(", "), dossiers.len()),
    }
}

fn contents(subjects: &[Subject<'_>]) -> Markup {
    html! {
        nav.contents #contents aria-label="Contents" {
            ul {
                @if let [subject] = subjects {
                    @for (id, text) in subject.sections() { li { a href={ "#" (id) } { (text) } } }
                } @else {
                    li { a href="#comparison" { "Comparison" } }
                    @for subject in subjects { li { a href={ "#" (subject.id) } { (subject.name) } } }
                }
                li { a href="#provenance-0" { "Provenance" } }
            }
        }
    }
}
