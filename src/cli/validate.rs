//! `packtrain validate`.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use crate::cli::error::{CommandError, in_place};
use crate::cli::project::{Loaded, ManifestArgs};
use crate::cli::{ExitCode, Global};
use crate::key::VariantName;
use crate::manifest::{Family, ManifestErrors, Pipeline, Severity};
use crate::preflight::{self, Machine, PackSurvey, Survey, TrainingSurvey};
use crate::report;

/// How many variants are listed.
const SHOWN: usize = 20;
/// How many classes are shown with their numbers.
const CLASSES: usize = 6;

/// Check a manifest and what it names, images and weights, without running anything
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ValidateArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let Loaded { family, project, .. } = match args.manifest.unchecked(global) {
        Err(CommandError::Manifest(errors)) if args.json => return print_json(None, &errors),
        read => read?,
    };
    let machine = Machine::here(&project.state);
    let survey = preflight::check(&family, &machine);
    let problems = family.locate(&survey.findings);
    if args.json {
        return print_json(Some((&family, &survey)), &problems);
    }
    if problems.count() > 0 {
        write!(io::stderr(), "{}", in_place(&problems))?;
    }
    print(&family, &survey, &problems)?;
    Ok(code(&problems))
}

fn code(problems: &ManifestErrors) -> ExitCode {
    if problems.count_of(Severity::Error) > 0 { ExitCode::InvalidManifest } else { ExitCode::Success }
}

fn print_json(found: Option<(&Family, &Survey)>, problems: &ManifestErrors) -> Result<ExitCode, CommandError> {
    let mut report = json!({
        "valid": problems.count_of(Severity::Error) == 0,
        "problems": problems.problems().collect::<Vec<_>>(),
    });
    if let Some((family, survey)) = found {
        let variants = family.variants.iter().filter_map(|pipeline| pipeline.variant.as_ref());
        report["pipeline"] = json!(family.name);
        report["variants"] = variants.map(|variant| json!(variant.name)).collect();
        report["packs"] = json!(survey.packs);
        report["trainings"] = json!(survey.trainings);
    }
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &report).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(code(problems))
}

fn print(family: &Family, survey: &Survey, problems: &ManifestErrors) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let stages = family.variants.first().map_or(0, |pipeline| pipeline.stages.len());
    let verdict = match problems.count_of(Severity::Error) {
        0 => "valid".to_owned(),
        1 => "1 error".to_owned(),
        errors => format!("{errors} errors"),
    };
    match &family.variants[..] {
        [Pipeline { variant: None, .. }] => writeln!(out, "{}: {verdict}, {stages} stages", family.name)?,
        variants => {
            writeln!(out, "{}: {verdict}, {stages} stages in {} variants", family.name, variants.len())?;
            let names = variants.iter().filter_map(|pipeline| pipeline.variant.as_ref());
            names.take(SHOWN).try_for_each(|variant| writeln!(out, "  {}", variant.name))?;
            if variants.len() > SHOWN {
                writeln!(out, "  and {} more", variants.len() - SHOWN)?;
            }
        }
    }
    survey.packs.iter().try_for_each(|pack| writeln!(out, "{}", pack_line(pack)))?;
    survey.trainings.iter().try_for_each(|training| writeln!(out, "{}", training_line(training)))
}

fn pack_line(pack: &PackSurvey) -> String {
    let classes = pack.classes.iter().take(CLASSES).map(|class| format!("{} {}", class.name, report::grouped(class.images)));
    let mut shown: Vec<String> = classes.collect();
    if pack.classes.len() > CLASSES {
        shown.push(format!("{} more", pack.classes.len() - CLASSES));
    }
    let noun = if pack.classes.len() == 1 { "class" } else { "classes" };
    let parts: Vec<String> = pack.parts.iter().map(|part| format!("{} {}", part.name, report::grouped(part.images))).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!(
        "{}: {} images in {} {noun} ({}){parts}; {}",
        named(pack.stage.variant.as_ref(), pack.stage.stage.as_str()),
        report::grouped(pack.images),
        pack.classes.len(),
        shown.join(", "),
        report::bytes(pack.bytes)
    )
}

fn training_line(training: &TrainingSurvey) -> String {
    let TrainingSurvey { stage, network, size, weights, batch, memory } = training;
    let stage = named(stage.variant.as_ref(), stage.stage.as_str());
    let weights = report::grouped(*weights);
    let memory = report::bytes(memory.0);
    format!("{stage}: {network} for {size}×{size} pixels, {weights} weights, batches of {batch}; about {memory} of memory on the CPU")
}

fn named(variant: Option<&VariantName>, stage: &str) -> String {
    variant.map_or_else(|| stage.to_owned(), |variant| format!("{stage} ({variant})"))
}
