//! `packtrain ui`.

use std::io::{self, Write};
use std::path::Path;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::scope::{Scope, is_manifest};
use crate::cli::{ExitCode, Global, completions};
use crate::ui::{Server, Site};

/// Show runs in a browser, live while they go on
///
/// Serves this machine alone, and only shows: it starts, changes and removes nothing. Ctrl-C ends it; runs do not notice.
#[derive(Debug, Args)]
pub(super) struct UiArgs {
    /// The run to begin with: an id, a name, `last`; or a manifest, for the runs of its pipeline
    #[arg(value_name = "RUN|MANIFEST", add = completions::runs())]
    of: Option<String>,
    /// The port; by default 8417, or another one if that is taken
    #[arg(long)]
    port: Option<u16>,
}

pub(super) fn run(args: &UiArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let (scope, path) = match &args.of {
        Some(manifest) if is_manifest(manifest) => (Scope::of_manifest(Path::new(manifest), global)?, "/".to_owned()),
        Some(run) => {
            let scope = Scope::here(global)?;
            let Ok(reference) = run.parse();
            let path = format!("/run/{}", scope.runs.find(&reference, None)?.id);
            (scope, path)
        }
        None => (Scope::here(global)?, "/".to_owned()),
    };
    let Scope { cache, pipeline, .. } = scope;
    let server = Server::bind(Site { cache, pipeline }, args.port)?;
    let stopper = server.stopper();
    ctrlc::set_handler(move || stopper.stop())?;
    let mut out = io::stdout().lock();
    writeln!(out, "http://{}{path}", server.address())?;
    out.flush()?;
    server.serve()?;
    Ok(ExitCode::Success)
}
