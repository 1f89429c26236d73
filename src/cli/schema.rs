//! `packtrain schema`.

use std::io::{self, Write};

use clap::Args;

use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::manifest;

/// Print the JSON Schema of manifests, for editors
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {}

pub(super) fn run(_: &SchemaArgs) -> Result<ExitCode, CommandError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &manifest::schema()).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(ExitCode::Success)
}
