//! What was found, for the one who asked.

use std::io::{self, Write};
use std::path::Path;

use crate::stage::Labels;
use crate::survey::{OddFile, Oddity, Source, Survey};

/// So many files of a kind of oddity are named.
const NAMED: usize = 5;

/// Writes what was found.
pub(super) fn write(survey: &Survey, images: &Path, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}:", images.display())?;
    facts(survey).into_iter().try_for_each(|fact| writeln!(out, "  {fact}"))?;
    let mut rest = &survey.odd[..];
    while let Some(first) = rest.first() {
        let (alike, others) = rest.split_at(rest.partition_point(|file| file.oddity.rank() <= first.oddity.rank()));
        writeln!(out, "  {}: {}", heading(&first.oddity), alike.len())?;
        alike.iter().take(NAMED).try_for_each(|file| writeln!(out, "    {}", described(file)))?;
        if alike.len() > NAMED {
            writeln!(out, "    and {} more", alike.len() - NAMED)?;
        }
        rest = others;
    }
    Ok(())
}

/// The layout, classes and sizes, a line each.
pub(super) fn facts(survey: &Survey) -> Vec<String> {
    let mut facts: Vec<String> = survey.layout.sources.iter().map(source).collect();
    facts.push(classes(survey));
    facts.extend(sizes(survey));
    facts.extend(survey.layout.left_out.iter().map(|(folder, reason)| format!("{folder}/ is left out: {reason}")));
    facts
}

/// The rule for classes in words.
pub(super) fn rule(labels: &Labels) -> String {
    match labels {
        Labels::ParentDir => "one folder per class".to_owned(),
        Labels::Ancestor(levels) => format!("the class is the name of the folder {levels} levels up"),
        Labels::Filename(pattern) => format!("the class stands in the file's name: {pattern}"),
        Labels::Table(table) => format!("the classes stand in {}", table.file.display()),
    }
}

fn source(source: &Source) -> String {
    let part = source.part.map_or(String::new(), |part| format!(" for {}", part.as_str()));
    let folder = if source.folder.is_empty() { String::new() } else { format!(" in {}/", source.folder) };
    format!("{} images{part}{folder}, {}", source.images, rule(&source.labels))
}

fn classes(survey: &Survey) -> String {
    let least = survey.classes.iter().min_by_key(|(_, images)| **images);
    let most = survey.classes.iter().max_by_key(|(_, images)| **images);
    match (survey.classes.len(), least, most) {
        (1, Some((class, _)), _) => format!("1 class: {class}"),
        (count, Some((_, least)), Some((_, most))) if least == most => format!("{count} classes of {least} images each"),
        (count, Some((rare, least)), Some((common, most))) => {
            format!("{count} classes, from {least} images ({rare}) to {most} ({common})")
        }
        _ => "no classes".to_owned(),
    }
}

fn sizes(survey: &Survey) -> Option<String> {
    let sizes = survey.sizes?;
    let total: usize = survey.layout.sources.iter().map(|source| source.images).sum();
    let sampled = if survey.opened < total { format!(" (of {} images, an even sample)", survey.opened) } else { String::new() };
    let ((small_width, small_height), (width, height)) = (sizes.smallest, sizes.largest);
    Some(if sizes.smallest == sizes.largest {
        format!("{width}×{height} pixels{sampled}")
    } else {
        format!("from {small_width}×{small_height} to {width}×{height} pixels, the shorter side {} in the median{sampled}", sizes.median)
    })
}

fn heading(oddity: &Oddity) -> &'static str {
    match oddity {
        Oddity::Unreadable(_) => "unreadable",
        Oddity::Duplicate { .. } => "the same bytes as another one",
        Oddity::Small { .. } => "far smaller than the others",
        Oddity::Extreme { .. } => "very long or very wide",
        Oddity::NotAnImage => "no images, passed over",
    }
}

fn described(file: &OddFile) -> String {
    let path = &file.path;
    match &file.oddity {
        Oddity::Unreadable(reason) => format!("{path}: {reason}"),
        Oddity::Duplicate { of } => format!("{path} as {of}"),
        Oddity::Small { width, height } | Oddity::Extreme { width, height } => format!("{path}: {width}×{height}"),
        Oddity::NotAnImage => path.clone(),
    }
}
