//! `packtrain cache gc`.

use std::io::{self, Write};

use clap::Args;
use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde_json::json;

use crate::cache::{Amount, Category, GcOutcome, GcPolicy, KeptStates};
use crate::cli::cache::size::Size;
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, cache, project};
use crate::report;

/// Remove from the cache what no pipeline's latest results need
///
/// What goes can be made again by a run. The latest results of every pipeline and variant stay, those of runs that have a name, and
/// what a run is using; so do the records of runs.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Only say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What to keep.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    /// Keep earlier results, and checkpoints of unfinished trainings, that were used within this time: 12h, 30d, 2weeks
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = age)]
    older_than: SignedDuration,
    /// Then remove of these what was not used for longest, until the cache is no larger than this: 500MiB, 20G
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,
    /// Checkpoints to keep of trainings whose result is kept: all, last (of each training) or none
    #[arg(long, value_name = "WHICH", default_value = "all")]
    checkpoints: KeptStates,
}

impl PolicyArgs {
    pub(super) fn policy(&self) -> GcPolicy {
        GcPolicy { older_than: self.older_than, max_size: self.max_size.map(Size::bytes), states: self.checkpoints }
    }
}

pub(super) fn run(args: &GcArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let cache = project::current_cache(global)?;
    let alone = cache.alone()?;
    let (policy, uses) = (args.policy.policy(), cache::uses(&cache)?);
    let outcome = if args.dry_run { alone.find_garbage(&policy, &uses)? } else { alone.collect_garbage(&policy, &uses)? };
    let mut out = io::stdout().lock();
    if args.json {
        let GcOutcome { removed, kept, still_linked } = &outcome;
        let told = json!({ "dry-run": args.dry_run, "removed": removed, "kept": kept, "still-linked-bytes": still_linked });
        writeln!(out, "{told:#}")?;
    } else {
        tell(args, &outcome, &mut out)?;
    }
    Ok(ExitCode::Success)
}

fn tell(args: &GcArgs, outcome: &GcOutcome, out: &mut dyn Write) -> io::Result<()> {
    let (gone, left) = (outcome.gone(), report::bytes(outcome.left().bytes));
    if gone.files == 0 {
        writeln!(out, "nothing to remove; the cache takes {left}")?;
    } else {
        let (verb, remain) = if args.dry_run { ("would free", "would be") } else { ("freed", "are") };
        write!(out, "{}", cache::table(&outcome.removed))?;
        writeln!(out, "{verb} {} in {} files; {left} {remain} left", report::bytes(gone.bytes), gone.files)?;
    }
    if outcome.still_linked > 0 {
        writeln!(out, "{} of that only when the files under output/ that link to it are gone too", report::bytes(outcome.still_linked))?;
    }
    if let Some(Amount { bytes, .. }) = outcome.kept.get(&Category::EarlierResults) {
        let bytes = report::bytes(*bytes);
        writeln!(out, "earlier results that were used more recently take {bytes}; `--older-than 0d` removes them too")?;
    }
    match args.policy.max_size {
        Some(max_size) if outcome.left().bytes > max_size.bytes() => {
            writeln!(
                out,
                "{} cannot be reached: the rest are the latest results, those of named runs, and what belongs to them",
                report::bytes(max_size.bytes())
            )
        }
        _ => Ok(()),
    }
}

fn age(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|_| format!("`{text}` is no time; write 12h, 30d or 2weeks"))?;
    let age =
        span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| "months and years differ in length; write days".to_owned())?;
    if age.is_negative() { Err("a time in the past is written without a sign: 30d".to_owned()) } else { Ok(age) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_do() {
        let hours = |text| age(text).map(|age| age.as_hours());
        assert_eq!([hours("12h"), hours("30d"), hours("2weeks"), hours("0d")], [Ok(12), Ok(720), Ok(336), Ok(0)]);
        assert_eq!(hours("soon"), Err("`soon` is no time; write 12h, 30d or 2weeks".to_owned()));
        assert_eq!(hours("3 months"), Err("months and years differ in length; write days".to_owned()));
        assert!(age("-3d").is_err());
    }
}
