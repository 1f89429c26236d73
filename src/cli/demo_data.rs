//! `packtrain demo-data`, which `make demo` calls.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::demo;

/// Write a small set of labelled pictures to try packtrain on
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct DemoDataArgs {
    /// Where to; the same pictures are written each time
    #[arg(default_value = "datasets/demo")]
    folder: PathBuf,
}

/// `pipelines/demo.yaml` says what is to be expected of the pictures of this seed.
const SEED: u64 = 1;

pub(super) fn run(args: &DemoDataArgs) -> Result<ExitCode, CommandError> {
    demo::write_images(&args.folder, SEED)?;
    writeln!(io::stderr(), "labelled pictures are in {}", args.folder.display())?;
    Ok(ExitCode::Success)
}
