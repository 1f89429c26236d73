//! `packtrain report`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::scope::Scope;
use crate::cli::{ExitCode, Global, completions};
use crate::dossier;
use crate::record::RunReference;
use crate::report;

/// Write a run, or a comparison of several, as one HTML file that needs no network
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The runs: an id or the beginning of one, a name, `last`, `last~1`; several are compared
    #[arg(value_name = "RUN", default_value = "last", add = completions::runs())]
    runs: Vec<RunReference>,
    /// The file; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

pub(super) fn run(args: &ReportArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let scope = Scope::here(global)?;
    let records = args.runs.iter().map(|reference| scope.find(reference)).collect::<Result<_, _>>()?;
    let dossiers = dossier::gather(records, &scope.cache)?;
    scope.cache.memo().save()?;
    if args.output.as_os_str() == "-" {
        report::write_page(&dossiers, &mut io::stdout().lock())?;
        return Ok(ExitCode::Success);
    }
    let named = |source: io::Error| io::Error::other(format!("{}: {source}", args.output.display()));
    let mut file = BufWriter::new(File::create(&args.output).map_err(named)?);
    report::write_page(&dossiers, &mut file).and_then(|()| file.flush()).map_err(named)?;
    let size = file.get_ref().metadata().map_err(named)?.len();
    writeln!(io::stdout(), "{}: {}", args.output.display(), report::bytes(size))?;
    Ok(ExitCode::Success)
}
