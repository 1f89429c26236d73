//! What stands around every page: its head, its style and script, and the policy that admits nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("sort.js");
/// Of pages that a server gives.
const LIVE_STYLE: &str = concat!(include_str!("style.css"), include_str!("live.css"));
const LIVE_SCRIPT: &str = concat!(include_str!("sort.js"), include_str!("live.js"));

/// Where a page is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// As a file of its own.
    File,
    /// From `packtrain ui`, which tells of changes at `stream` while there may be some.
    Server { stream: Option<&'a str> },
}

pub(super) struct Shell<'a> {
    pub(super) title: &'a str,
    pub(super) place: Place<'a>,
}

impl Shell<'_> {
    pub(super) fn around(&self, body: &Markup) -> Markup {
        let (style, script, policy) = match self.place {
            Place::File => (STYLE, SCRIPT, file_policy()),
            Place::Server { .. } => (LIVE_STYLE, LIVE_SCRIPT, server_policy()),
        };
        let stream = if let Place::Server { stream } = self.place { stream } else { None };
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    // A server says more in its headers, and what is said there does not hold in a page.
                    @if let Place::File = self.place { meta http-equiv="Content-Security-Policy" content=(policy); }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content=(format!("packtrain {}", env!("CARGO_PKG_VERSION")));
                    title { (self.title) }
                    style { (PreEscaped(style)) }
                }
                body data-stream=[stream] {
                    a.skip href="#main" { "Skip to the results" }
                    @if let Place::Server { .. } = self.place {
                        div.site { a href="/" { "All runs" } p #connection role="status" {} }
                    }
                    (body)
                    footer { (self.footer()) }
                    script { (PreEscaped(script)) }
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        let version = env!("CARGO_PKG_VERSION");
        match self.place {
            Place::File => html! { p { "Made by packtrain " (version) " from what is kept of the run. This file needs no network." } },
            Place::Server { .. } => {
                html! { p { "packtrain " (version) " shows what is there and changes nothing. " code { "packtrain report" } " writes a run as a file." } }
            }
        }
    }
}

/// A page with a heading and a sentence: what was asked for is not there.
pub fn message_page(title: &str, text: &str) -> String {
    let body = html! { header.page #head { p.brand { "packtrain" } h1 { (title) } } main #main tabindex="-1" { p { (text) } } };
    Shell { title, place: Place::Server { stream: None } }.around(&body).into_string()
}

/// Nothing is loaded from anywhere; pictures are within the page.
fn file_policy() -> String {
    policy(STYLE, SCRIPT)
}

/// The same, for pages that a server gives: they hear from that server alone, and no other page may show them within itself.
pub fn server_policy() -> String {
    format!("{}; connect-src 'self'; frame-ancestors 'none'", policy(LIVE_STYLE, LIVE_SCRIPT))
}

fn policy(style: &str, script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    )
}
