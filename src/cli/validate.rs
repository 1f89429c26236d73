//! `packtrain validate`.

use std::io::{self, Write};

use clap::Args;

use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;

/// Check a manifest without running anything
#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: &ValidateArgs) -> Result<ExitCode, CommandError> {
    let pipeline = args.manifest.pipeline()?;
    writeln!(io::stdout(), "{}: valid, {} stages", pipeline.name, pipeline.stages.len())?;
    Ok(ExitCode::Success)
}
