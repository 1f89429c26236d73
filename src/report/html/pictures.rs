//! Pictures: what was packed, the mean, what the network saw, and the mistakes. Each is within the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use crate::artifact::Mean;
use crate::dossier::{AugmentedImage, Finding, Mistake, Mistakes, Part, SampleImage, Thumbnail};
use crate::report::html::subject::Subject;

/// Side up to which a picture is enlarged without smoothing.
const TINY: usize = 48;
/// Classes whose counts are listed.
const MOST_CLASSES: usize = 24;

/// The images of a subject.
pub(super) fn section(subject: &Subject<'_>) -> Markup {
    html! {
        @for (stage, finding) in subject.findings() {
            @let name = &stage.record.stage.stage;
            @match finding {
                Finding::Packed { parts, size: (height, width), samples } => {
                    h3 { (name) ": packed images" }
                    p { "Some of the images as they were packed, " (width) " × " (height) " pixels." }
                    (gallery(samples))
                    (counts(parts))
                }
                Finding::Mean { mean, picture } => { h3 { (name) ": mean" } (mean_figure(mean, picture.as_ref())) }
                Finding::Augmented(images) => {
                    h3 { (name) ": as the network saw them" }
                    p { "The same training images in the first epochs, cropped and varied as they were then; the mean is not subtracted here." }
                    div.strips { @for image in images { (strip(image)) } }
                }
                Finding::History(_) | Finding::Evaluation(_) | Finding::Oversample(_) | Finding::Crops(_) | Finding::Mistakes(_) => {}
            }
        }
        @for stage in &subject.chapter.stages {
            @if let Some(variant) = &stage.shown_before {
                p.small { (stage.record.stage.stage) " gave the same result as in " (variant) ", where it is shown." }
            }
        }
    }
}

/// The wrong predictions.
pub(super) fn mistakes(mistakes: &Mistakes) -> Markup {
    html! {
        h4 { "Mistakes" }
        @if mistakes.wrong == 0 { p { "None: all " (mistakes.rows) " rows are right." } } @else {
            p { (mistakes.wrong) " of " (mistakes.rows) " rows are wrong. " }
            (list("The most confident", "the highest probability for a wrong class", &mistakes.most_confident))
            @if !mistakes.worst.is_empty() { (list("The worst", "the lowest probability for the true class", &mistakes.worst)) }
        }
    }
}

/// The crops of one image.
pub(super) fn crops(image: &AugmentedImage) -> Markup {
    html! { h4 { "The crops of an image" } (strip(image)) }
}

fn list(title: &str, meaning: &str, mistakes: &[Mistake]) -> Markup {
    html! {
        h5 { (title) span.of { " · " (meaning) } }
        ul.gallery.mistakes {
            @for Mistake { row, picture } in mistakes { li {
                @match picture {
                    Some(picture) => (image(picture, &format!("{}, taken for {}", row.label, row.predicted))),
                    None => div.no-picture { "no picture" },
                }
                p {
                    strong { (row.label) } br;
                    "taken for " (row.predicted) ", " (probability(row.probability)) br;
                    @if let Some(of_label) = row.of_label { span.quiet { "true class " (probability(of_label)) } br; }
                    span.path { (row.path) }
                }
            } }
        }
    }
}

fn gallery(samples: &[SampleImage]) -> Markup {
    html! {
        ul.gallery {
            @for sample in samples { li {
                (image(&sample.picture, &format!("an image of {}", sample.label)))
                p { strong { (sample.label) } br; span.path { (sample.path) } }
            } }
        }
    }
}

fn strip(augmented: &AugmentedImage) -> Markup {
    let original = &augmented.original;
    html! {
        figure.strip {
            ul {
                li.original { (image(&original.picture, &format!("an image of {}", original.label))) p { "packed" } }
                @for (name, picture) in &augmented.views { li { (image(picture, &format!("the image of {}, {name}", original.label))) p { (name) } } }
            }
            figcaption { strong { (original.label) } " " span.path { (original.path) } }
        }
    }
}

/// How many images of each class are in each part.
fn counts(parts: &[Part]) -> Markup {
    let names: Vec<&str> = parts.first().map(|part| part.classes.iter().map(|(name, _)| name.as_str()).collect()).unwrap_or_default();
    let count = |part: &Part, class: &str| part.classes.iter().find(|(name, _)| name == class).map_or(0, |(_, count)| *count);
    let total = |part: &Part| part.classes.iter().map(|(_, count)| count).sum::<u64>();
    html! {
        div.scroll tabindex="0" role="group" aria-label="Images of each class" {
            table.sortable.compact {
                thead { tr { th scope="col" { "class" } @for part in parts { th.number scope="col" { (part.name) } } } }
                tbody { @for name in names.iter().take(MOST_CLASSES) { tr {
                    th scope="row" { (name) }
                    @for part in parts { td.number { (count(part, name)) } }
                } } }
                tfoot { tr { th scope="row" { "all " (names.len()) " classes" } @for part in parts { td.number { (total(part)) } } } }
            }
        }
    }
}

fn mean_figure(mean: &Mean, picture: Option<&Thumbnail>) -> Markup {
    let channels = [("R", mean.r), ("G", mean.g), ("B", mean.b)];
    let fill = format!("rgb({:.0},{:.0},{:.0})", mean.r, mean.g, mean.b);
    html! {
        figure.mean {
            @match picture {
                Some(picture) => (image(picture, "the mean of all training images, pixel by pixel")),
                None => svg viewBox="0 0 10 10" width="96" height="96" role="img" aria-label="the mean colour" { rect width="10" height="10" rx="0.6" fill=(fill) {} },
            }
            figcaption {
                @for (index, (name, value)) in channels.iter().enumerate() {
                    (name) " " (format!("{value:.2}"))
                    @if let Some(std) = mean.std { " ± " (format!("{:.2}", std[index])) }
                    br;
                }
                @if let Some(images) = mean.images { span.quiet { "over " (images) " images, in units of 0–255" } }
            }
        }
    }
}

fn image(picture: &Thumbnail, alternative: &str) -> Markup {
    let source = format!("data:{};base64,{}", picture.media_type, STANDARD.encode(&picture.bytes));
    html! {
        img src=(source) alt=(alternative) width=(picture.width) height=(picture.height) class=[(picture.width.max(picture.height) <= TINY).then_some("tiny")];
    }
}

fn probability(value: f64) -> String {
    if value < 0.001 { "below 0.1 %".to_owned() } else { format!("{:.1} %", value * 100.0) }
}
