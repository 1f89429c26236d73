//! `packtrain cache verify`.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use crate::cache::{Cache, Checked, Concern, Damage, Fate, ObjectsRead, Part, Problem, Sample, Verification};
use crate::cli::cache::rerun;
use crate::cli::error::CommandError;
use crate::cli::run::stop_by_signal;
use crate::cli::{ExitCode, Global, project};
use crate::exec::Stop;
use crate::remote::{Remote, RemoteError, Watch};
use crate::report::{self, ReadingBar};

/// Read all that the cache holds and say what is damaged or missing, and which results that concerns
///
/// Exits with 4 if something is damaged and stays so. Runs may go on meanwhile.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Take what is damaged or missing from the remote cache, if that has it; remove the rest, so that the next run makes it again
    #[arg(long)]
    repair: bool,
    /// As `--repair`, and run the stages again whose results are lost, of the latest runs and of those with a name
    #[arg(long)]
    rerun: bool,
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
    let mut verification = cache.alone()?.verify(&objects)?;
    let stop = if args.repairs() { Some(stop_by_signal()?) } else { None };
    if let Some(stop) = stop.as_deref() {
        verification = repair(verification, &objects, &cache, (project::current_remote(global)?, stop))?;
    }
    let lost = args.make_again(&verification, &cache, (global, stop.as_deref().filter(|_| args.rerun)))?;
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", json!({ "found": verification, "made-again": lost.made_again, "commands": lost.commands }))?;
    } else {
        tell(args, &verification, &lost, &mut out)?;
    }
    Ok(match () {
        () if verification.is_damaged() => ExitCode::Storage,
        () if args.rerun && !lost.commands.is_empty() => ExitCode::StageFailed,
        () => ExitCode::Success,
    })
}

impl VerifyArgs {
    fn repairs(&self) -> bool {
        self.repair || self.rerun
    }

    /// Runs again what is to be and tells of each that it is whole; gives the command lines that make the others again.
    fn make_again(
        &self,
        verification: &Verification,
        cache: &Cache,
        (global, stop): (&Global, Option<&Stop>),
    ) -> Result<Lost, CommandError> {
        let mut lost = Lost::default();
        for maker in rerun::makers(verification, cache)? {
            if let Some(stop) = stop {
                maker.rerun(cache, global, stop)?;
            }
            if stop.is_some() && maker.is_whole(cache)? {
                lost.made_again.push(maker.subject());
            } else {
                lost.commands.extend(maker.command());
            }
        }
        Ok(lost)
    }
}

/// First takes from the remote what that has, then takes away the rest.
fn repair(
    found: Verification,
    objects: &ObjectsRead,
    cache: &Cache,
    (remote, stop): (Option<Remote>, &Stop),
) -> Result<Verification, CommandError> {
    if let Some(remote) = remote.filter(|_| !found.problems.is_empty()) {
        let watch = Watch { cancelled: stop.cancelled(), progress: &|_| {} };
        match remote.heal(&found.problems, cache, &watch) {
            Err(error @ RemoteError::Failed { .. }) => writeln!(io::stderr(), "warning: {error}; repairing without it")?,
            healed => healed?,
        }
    }
    let alone = cache.alone()?;
    let mut verification = found.after_healing(alone.verify(objects)?);
    alone.repair(&mut verification)?;
    cache.memo().save()?;
    Ok(verification)
}

/// What became of lost results.
#[derive(Default)]
struct Lost {
    made_again: Vec<String>,
    /// That make the others again.
    commands: BTreeSet<String>,
}

fn tell(args: &VerifyArgs, verification: &Verification, lost: &Lost, out: &mut dyn Write) -> io::Result<()> {
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
    if !problems.is_empty() && !args.repairs() {
        writeln!(
            out,
            "`packtrain cache verify --repair` takes from the remote cache what that has and removes the rest; what is wanted of it is made \
             again by the next run, or at once with `--rerun`"
        )?;
    }
    if problems.iter().any(|problem| problem.what == Damage::DamagedRun) {
        let lost = if args.repairs() { "is gone from the history" } else { "goes from the history with `--repair`" };
        writeln!(out, "a run whose record is damaged {lost}: nothing can make the record again; the results stay")?;
    }
    lost.made_again.iter().try_for_each(|subject| writeln!(out, "made again: {subject}"))?;
    if !lost.commands.is_empty() {
        writeln!(out, "lost results are made again by")?;
    }
    lost.commands.iter().try_for_each(|command| writeln!(out, "  {command}"))
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
        Fate::Healed => "; taken from the remote cache",
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
        Damage::DamagedListing => "damaged listing of an archive, or of packed images",
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
