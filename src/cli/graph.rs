//! `packtrain graph`.

use std::io::{self, Write};

use clap::{Args, ValueEnum};

use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::{ExitCode, Global};
use crate::plan::{GraphFormat, Plan, draw};

/// Print the stages and what flows between them
#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The language of the graph
    #[arg(long, value_enum, default_value_t = FormatArg::Mermaid)]
    format: FormatArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Mermaid,
    Dot,
}

pub(super) fn run(args: &GraphArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let family = args.manifest.load(global)?.family;
    let format = match args.format {
        FormatArg::Mermaid => GraphFormat::Mermaid,
        FormatArg::Dot => GraphFormat::Dot,
    };
    let mut graphs: Vec<String> = family.variants.iter().map(|pipeline| draw(&Plan::new(pipeline), format)).collect();
    graphs.dedup();
    match &graphs[..] {
        [graph] => write!(io::stdout(), "{graph}")?,
        _ => return Err(CommandError::DifferentGraphs { pipeline: family.name }),
    }
    Ok(ExitCode::Success)
}
