//! `packtrain schema`.

use std::io::{self, Write};

use clap::Args;

use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::schema::Document;

/// Print the JSON Schema of manifests, of profiles, or of what packtrain writes
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// Of what: manifest, profiles, event, run, evaluation, history or mean
    #[arg(value_name = "DOCUMENT", default_value_t)]
    document: Document,
}

pub(super) fn run(args: &SchemaArgs) -> Result<ExitCode, CommandError> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &args.document.schema()).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(ExitCode::Success)
}
