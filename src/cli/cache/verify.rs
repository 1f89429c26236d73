//! `packtrain cache verify`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use crate::cache::{Cache, Checked, Concern, Damage, Fate, Part, Problem, Sample, Verification};
use crate::cli::error::CommandError;
use crate::cli::{ExitCode, Global, project};
use crate::record::Runs;
use crate::report::{self, ReadingBar};

/// Read all that the cache holds and say what is damaged or missing, and which results that concerns
///
/// Exits with 4 if something is damaged and stays so. Runs may go on meanwhile.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Remove what is damaged and records that cannot be used, so that the next run makes them again
    #[arg(long)]
    repair: bool,
    /// Read only so much of the objects, chosen anew each time: 10%
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    sample: Option<Sample>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// A problem has no more concerns than this in a line.
const SHOWN: usize = 3;

pub(super) fn run(args: &VerifyArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let cache = project::current_cache(global)?;
    let bar = ReadingBar::new("reading objects");
    let objects = cache.read_objects(args.sample.unwrap_or(Sample(1.0)), &|bytes, total| bar.advance(bytes, total))?;
    drop(bar);
    let alone = cache.alone()?;
    let mut verification = alone.verify(&objects)?;
    if args.repair {
        alone.repair(&mut verification)?;
    }
    drop(alone);
    let commands = commands(&verification, &cache)?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "found": verification, "commands": commands }))?;
    } else {
        tell(args, &verification, &commands, &mut out)?;
    }
    Ok(if verification.is_damaged() { ExitCode::Storage } else { ExitCode::Success })
}

/// The command lines that make again what is lost of the latest results and of those of runs with a name: of each the last run that
/// gave or used it.
fn commands(verification: &Verification, cache: &Cache) -> Result<BTreeSet<String>, CommandError> {
    let runs = Runs::read(&cache.runs())?;
    let named = runs.named_uses();
    let is_wanted = |concern: &&Concern| concern.is_latest || concern.key.is_some_and(|key| named.contains(&key));
    let mut wanted: BTreeSet<_> = verification.lost_results().into_iter().filter(is_wanted).filter_map(|concern| concern.key).collect();
    let mut commands = BTreeSet::new();
    for head in runs.heads() {
        if wanted.is_empty() {
            break;
        }
        // A record that cannot be read tells of no command.
        let Ok(record) = runs.record(head) else { continue };
        let used: Vec<_> = record.stages.iter().filter_map(|stage| stage.key).filter(|key| wanted.remove(key)).collect();
        if !used.is_empty() {
            commands.extend(report::command_line(&record.provenance.command));
        }
    }
    Ok(commands)
}

fn tell(args: &VerifyArgs, verification: &Verification, commands: &BTreeSet<String>, out: &mut dyn Write) -> io::Result<()> {
    let Verification { checked: Checked { objects, bytes, objects_left_out, records }, problems } = verification;
    for problem in problems {
        writeln!(out, "{}", line(problem))?;
    }
    let left_out = match objects_left_out {
        0 => String::new(),
        left_out => format!("; {left_out} objects were left out"),
    };
    let found = if problems.is_empty() { "all sound".to_owned() } else { format!("{} not sound", problems.len()) };
    writeln!(out, "read {objects} objects, {}, and {records} records: {found}{left_out}", report::bytes(*bytes))?;
    if problems.iter().any(|problem| problem.fate == Fate::InUse) {
        writeln!(out, "a run is using some of it, which stays: repair it when the run has ended, and make anew what it gave")?;
    }
    if !problems.is_empty() && !args.repair {
        writeln!(out, "`packtrain cache verify --repair` removes what cannot be used; what is wanted of it is made again by the next run")?;
    }
    if problems.iter().any(|problem| problem.what == Damage::DamagedRun) {
        let lost = if args.repair { "is gone from the history" } else { "goes from the history with `--repair`" };
        writeln!(out, "a run whose record is damaged {lost}: nothing can make the record again; the results stay")?;
    }
    if !commands.is_empty() {
        writeln!(out, "lost results are made again by")?;
    }
    commands.iter().try_for_each(|command| writeln!(out, "  {command}"))
}

fn line(problem: &Problem) -> String {
    let Problem { file, what, concerns, fate } = problem;
    let mut text = format!("{}  {}", words(*what), file.display());
    let shown: Vec<String> = concerns.iter().take(SHOWN).map(concerned).collect();
    let more = concerns.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("{more} more"));
    let all: Vec<String> = shown.into_iter().chain(more).collect();
    if !all.is_empty() {
        text.push_str(&format!(": {}", report::list(&all)));
    }
    text.push_str(match fate {
        Fate::Found => "",
        Fate::Repaired => "; removed",
        Fate::InUse => "; in use",
    });
    text
}

fn words(what: Damage) -> &'static str {
    match what {
        Damage::DamagedObject { .. } => "damaged object",
        Damage::MissingObject { .. } => "missing object",
        Damage::DamagedResult { .. } => "damaged record",
        Damage::DamagedCheckpoint { .. } => "damaged record of a checkpoint",
        Damage::DamagedListing => "damaged listing of an archive",
        Damage::DamagedHeads => "damaged list of latest results",
        Damage::DamagedMemo => "damaged memo of digests",
        Damage::DamagedRun => "damaged record of a run",
        Damage::UnknownRecord => "unknown record",
    }
}

/// What of whom: `output train of fruit/pack`.
fn concerned(concern: &Concern) -> String {
    let Concern { pipeline, stage, part, is_latest, .. } = concern;
    let part = match part {
        Part::Result => "result".to_owned(),
        Part::Output { output } => format!("output {output}"),
        Part::Listing { .. } => "list of input files".to_owned(),
        Part::RowSources { output } => format!("origins of the rows of {output}"),
        Part::Checkpoint { .. } => "checkpoint".to_owned(),
    };
    let place: Vec<&str> = pipeline.iter().map(String::as_str).chain(stage.iter().map(|stage| stage.as_str())).collect();
    match (place.is_empty(), is_latest) {
        (true, _) => part,
        (false, true) => format!("{part} of {}", place.join("/")),
        (false, false) => format!("{part} of {}, of an earlier run", place.join("/")),
    }
}

fn percent(text: &str) -> Result<Sample, String> {
    let number: Option<f64> = text.strip_suffix('%').unwrap_or(text).trim().parse().ok();
    let share = number.filter(|number| (0.0..=100.0).contains(number));
    share.map(|share| Sample(share / 100.0)).ok_or_else(|| format!("`{text}` is no share; write 10%"))
}
