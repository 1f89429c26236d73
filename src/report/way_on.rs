//! How to go on after a run that did not come to its end.

use std::io::{self, Write};

use crate::event::{RunOutcome, StartingPoint};
use crate::record::{RunRecord, StageRecord, StageState};
use crate::report::phrase::list;

/// As many names stand in a line; of more only the number.
const SHOWN: usize = 4;

/// Writes what was kept, and the command line that goes on from there; nothing after a run that succeeded.
pub fn write_way_on(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let advice = match record.outcome {
        Some(RunOutcome::Interrupted) => "to go on, run the same command again",
        Some(RunOutcome::Failed) => "once the cause is mended, the same command goes on from there",
        Some(RunOutcome::Succeeded | RunOutcome::Superseded) | None => return Ok(()),
    };
    let kept = [kept(record), starting_points(record)].into_iter().flatten().collect::<Vec<_>>().join("; ");
    if !kept.is_empty() {
        writeln!(out, "{kept}")?;
    }
    match command_line(&record.provenance.command) {
        Some(command) => writeln!(out, "{advice}: {command}"),
        None => writeln!(out, "{advice}"),
    }
}

/// A command line as a shell takes it; none without words. Only words that no command line can have cannot be quoted.
pub fn command_line(words: &[String]) -> Option<String> {
    shlex::try_join(words.iter().map(String::as_str)).ok().filter(|command| !command.is_empty())
}

/// The stages whose results are in the cache.
fn kept(record: &RunRecord) -> Option<String> {
    let is_kept = |stage: &&StageRecord| matches!(stage.state, StageState::Reused | StageState::Finished);
    let kept: Vec<_> = record.stages.iter().filter(is_kept).map(|stage| &stage.stage).collect();
    match kept.len() {
        0 => None,
        1..=SHOWN => Some(format!("kept: {}", list(&kept))),
        many => Some(format!("kept: {many} stages")),
    }
}

/// Where the trainings that were cut start the next time.
fn starting_points(record: &RunRecord) -> Option<String> {
    let cut: Vec<(&StageRecord, StartingPoint)> = record.stages.iter().filter_map(|stage| Some((stage, stage.training?))).collect();
    let told: Vec<String> = cut.iter().take(SHOWN).map(|(stage, point)| format!("{} {point}", stage.stage)).collect();
    let more = cut.len().saturating_sub(SHOWN);
    let rest = (more > 0).then(|| format!("{more} more trainings where they were cut"));
    let all: Vec<String> = told.into_iter().chain(rest).collect();
    (!all.is_empty()).then(|| list(&all))
}
