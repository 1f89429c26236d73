//! `packtrain metrics`.

use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use clap::Args;

use crate::cli::error::CommandError;
use crate::cli::scope::{Scope, is_manifest};
use crate::cli::{ExitCode, Global, completions};
use crate::compare::{self, AtEpoch, Comparison, Filter, Order, Row, Trainings};
use crate::record::RunRecord;
use crate::report;

/// Compare runs and variants in a table: what differs, and their metrics
///
/// Without RUN, the runs of the pipeline that ran last, those left out that only gave the results of another one again.
#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Runs, or a manifest for all runs of its pipeline
    #[arg(value_name = "RUN|MANIFEST", add = completions::runs())]
    of: Vec<String>,
    /// Only rows that fit: lr>0.001, rank-1>=80%, tag=paper; may be given several times
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<Filter>,
    /// Sort by this parameter or metric: the best metric first, the smallest parameter
    #[arg(long, value_name = "COLUMN")]
    sort: Option<String>,
    /// Sort from the smallest to the largest
    #[arg(long, requires = "sort")]
    ascending: bool,
    /// Sort from the largest to the smallest
    #[arg(long, requires = "sort", conflicts_with = "ascending")]
    descending: bool,
    /// Show only these columns, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Compare trainings at the end of this epoch; by default at the end of each one's last
    #[arg(long, value_name = "EPOCH")]
    at_epoch: Option<u32>,
    /// Compare trainings at the last epoch that all of them have
    #[arg(long, conflicts_with = "at_epoch")]
    equal_epochs: bool,
    /// table, markdown, csv or json
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Table,
    Markdown,
    Csv,
    Json,
}

pub(super) fn run(args: &MetricsArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let (scope, records, is_chosen) = args.records(global)?;
    let mut rows: Vec<Row> = records.iter().flat_map(compare::rows).collect();
    if !is_chosen {
        rows = compare::distinct(rows);
    }
    compare::add_stage_params(&mut rows, &scope.cache)?;
    let trainings = rows.iter().map(|row| Trainings::of(row, &scope.cache)).collect::<Result<Vec<_>, _>>()?;
    let at = args.at();
    let epoch = at.number(&trainings);
    if at == AtEpoch::Equal && epoch.is_none() {
        return Err(CommandError::NoEqualEpoch);
    }
    rows.iter_mut().zip(&trainings).for_each(|(row, trainings)| row.add_trainings(trainings, epoch));
    let mut comparison = Comparison::new(rows, &args.filter)?;
    if let Some(sort) = &args.sort {
        comparison.sort(sort, args.order())?;
    }
    if !args.columns.is_empty() {
        comparison.choose(&args.columns)?;
    }
    print(&comparison, args.format)?;
    Ok(ExitCode::Success)
}

fn print(comparison: &Comparison, format: Format) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Table if comparison.rows.is_empty() => writeln!(out, "no runs"),
        Format::Table => write!(out, "{}", report::comparison(comparison)),
        Format::Markdown => write!(out, "{}", report::comparison(comparison).to_markdown()),
        Format::Csv => write!(out, "{}", report::plain_comparison(comparison).to_csv()),
        Format::Json => writeln!(out, "{:#}", report::comparison_json(comparison)),
    }
}

impl MetricsArgs {
    /// The records of the runs that are meant, and whether each was named.
    fn records(&self, global: &Global) -> Result<(Scope, Vec<RunRecord>, bool), CommandError> {
        let scope = match &self.of[..] {
            [single] if is_manifest(single) => Scope::of_manifest(Path::new(single), global)?,
            [] => {
                let scope = Scope::here(global)?;
                Scope { pipeline: scope.runs.heads().first().map(|head| head.pipeline.clone()), ..scope }
            }
            runs => {
                let scope = Scope::here(global)?;
                let records = runs.iter().map(|run| scope.find(&infallible(run.parse()))).collect::<Result<_, _>>()?;
                return Ok((scope, records, true));
            }
        };
        let records = scope.records(scope.heads())?;
        Ok((scope, records, false))
    }

    fn at(&self) -> AtEpoch {
        match self.at_epoch {
            Some(epoch) => AtEpoch::This(epoch),
            None if self.equal_epochs => AtEpoch::Equal,
            None => AtEpoch::Last,
        }
    }

    fn order(&self) -> Order {
        match (self.ascending, self.descending) {
            (true, _) => Order::Ascending,
            (false, true) => Order::Descending,
            (false, false) => Order::BestFirst,
        }
    }
}

fn infallible<T>(parsed: Result<T, std::convert::Infallible>) -> T {
    let Ok(parsed) = parsed;
    parsed
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "table" => Ok(Format::Table),
            "markdown" => Ok(Format::Markdown),
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            other => Err(format!("`{other}` is none of table, markdown, csv and json")),
        }
    }
}
