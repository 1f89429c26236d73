//! `packtrain validate`.

use std::io::{self, Write};

use clap::Args;

use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::manifest::Pipeline;

/// How many variants are listed.
const SHOWN: usize = 20;

/// Check a manifest without running anything
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: &ValidateArgs) -> Result<ExitCode, CommandError> {
    let family = args.manifest.family()?;
    let stages = family.variants.first().map_or(0, |pipeline| pipeline.stages.len());
    match &family.variants[..] {
        [Pipeline { variant: None, .. }] => writeln!(io::stdout(), "{}: valid, {stages} stages", family.name)?,
        variants => {
            writeln!(io::stdout(), "{}: valid, {stages} stages in {} variants", family.name, variants.len())?;
            let names = variants.iter().filter_map(|pipeline| pipeline.variant.as_ref());
            names.take(SHOWN).try_for_each(|variant| writeln!(io::stdout(), "  {}", variant.name))?;
            if variants.len() > SHOWN {
                writeln!(io::stdout(), "  and {} more", variants.len() - SHOWN)?;
            }
        }
    }
    Ok(ExitCode::Success)
}
