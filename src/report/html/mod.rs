//! A run, or a comparison of several, as one HTML file that needs nothing else: no network, no other file, and no script but the
//! one that sorts tables.
//!
//! Only shows a [`Dossier`]; where that comes from it does not know. Text is escaped by `maud`; what is not escaped is the page's
//! own style and script, which its content security policy admits by their hashes, and nothing else.

mod chart;
mod comparison;
mod curves;
mod evaluation;
mod graph;
mod pictures;
mod provenance;
mod subject;

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use crate::dossier::Dossier;
use crate::report::html::subject::Subject;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");

/// Writes the page.
pub fn write_page(dossiers: &[Dossier], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(dossiers).into_string().as_bytes())
}

fn page(dossiers: &[Dossier]) -> Markup {
    let subjects = Subject::all(dossiers);
    let title = title(dossiers);
    let several = subjects.len() > 1;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(format!("packtrain {}", env!("CARGO_PKG_VERSION")));
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the results" }
                header.page {
                    p.brand { "packtrain report" }
                    h1 { (title) }
                    @for dossier in dossiers { (provenance::headline(&dossier.record)) }
                }
                (contents(&subjects))
                main #main tabindex="-1" {
                    @if several { (comparison::section(&subjects)) }
                    @for subject in &subjects { (subject.article()) }
                    @for (index, dossier) in dossiers.iter().enumerate() { (provenance::of_run(dossier, index, dossiers.len())) }
                }
                footer { p { "Made by packtrain " (env!("CARGO_PKG_VERSION")) " from what is kept of the run. This file needs no network." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// Nothing is loaded from anywhere; pictures are within the page.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
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
        nav.contents aria-label="Contents" {
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
