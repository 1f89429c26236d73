//! `make bench`: packtrain beside its peers, row by row, as one table.
//!
//! Whole commands and whole stages are measured here, in the release build; functions have their own benches beside this folder. A
//! family of rows is a file of its own with a function `rows`. Data is made under `target/bench/` and stays there.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a driver starts programs and waits for them")]

mod batches;
mod bench;
mod classifier;
mod dvc;
mod error;
mod floors;
mod images;
mod measure;
mod networks;
mod noise;
mod packing;
mod peers;
mod photographs;
mod projects;
mod row;
mod runner;

use std::process::ExitCode;

use clap::Parser;

use crate::bench::{Bench, BenchArgs};
use crate::error::BenchError;
use crate::row::{Row, header};

fn main() -> ExitCode {
    match run(&BenchArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All rows in the order of the table.
fn rows() -> Vec<Row> {
    [runner::rows(), packing::rows(), batches::rows(), networks::rows(), classifier::rows()].into_iter().flatten().collect()
}

fn run(args: &BenchArgs) -> Result<(), BenchError> {
    let rows = args.chosen(rows())?;
    if args.list {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        rows.iter().for_each(|row| println!("{:<width$}  {}", row.name, row.what));
        return Ok(());
    }
    let bench = Bench::new(args)?;
    let mut table = header();
    let mut notes = Vec::new();
    for row in &rows {
        println!("{}: {}", row.name, row.what);
        let outcome = row.measure(&bench)?;
        outcome.lines(row).into_iter().for_each(|line| table.push(line));
        notes.extend(outcome.notes(row));
    }
    println!("\n{table}");
    notes.iter().for_each(|note| println!("{note}"));
    Ok(())
}
