//! Numbers, times and events as people read them.

use crate::compare::Nature;
use crate::event::{
    EpochMetrics, FromRemote, RowCounts, RunEvent, RunOutcome, SourceChange, SourceChangeKind, SourceCounts, StageEvent, StageResult,
};
use crate::record::StageState;
use crate::report::write_changes;

/// A duration in seconds: `16 ms`, `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1000.0),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s if s < 3599.5 => {
            let whole = s.round();
            format!("{:.0} min {:.0} s", (whole / 60.0).floor(), whole % 60.0)
        }
        s => {
            let minutes = (s / 60.0).round();
            format!("{:.0} h {:.0} min", (minutes / 60.0).floor(), minutes % 60.0)
        }
    }
}

/// A duration that goes on, without parts of seconds: `12 s`, `3 min 20 s`.
pub(super) fn whole_seconds(value: f64) -> String {
    if value < 59.5 { format!("{value:.0} s") } else { seconds(value) }
}

/// A duration in little room: `0:07`, `3:20`, `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A speed in units a second: `412`, `3.4`.
pub(super) fn rate(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// A learning rate to three digits: `1e-3`, `8.54e-4`.
pub(super) fn learning_rate(value: f64) -> String {
    let shown = format!("{value:.2e}");
    match shown.split_once('e') {
        Some((digits, exponent)) if value != 0.0 => format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.')),
        _ => value.to_string(),
    }
}

/// A number of bytes: `185 B`, `1.2 KiB`, `431 MiB`.
pub fn bytes(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if size < 1023.5 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    if size < 9.95 && unit != "B" { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub fn list<T: std::fmt::Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(T::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// How many rows come from earlier results; `None` if no row does.
pub fn rows_reused(rows: Option<RowCounts>) -> Option<String> {
    let rows = rows.filter(|rows| rows.reused > 0)?;
    Some(format!("{} of {} rows reused", rows.reused, rows.reused + rows.made))
}

/// A metric's value: fractions in percent, losses to four places, other numbers as they are.
pub(super) fn metric(name: &str, value: f64) -> String {
    match Nature::of(name) {
        Nature::Fraction => format!("{:.2} %", value * 100.0),
        Nature::Gain => format!("{:+.2} %", value * 100.0),
        Nature::Loss => format!("{value:.4}"),
        Nature::Number => format!("{value}"),
    }
}

/// That a result was there already, or elsewhere.
pub(super) fn reused(from_remote: Option<FromRemote>) -> String {
    match from_remote {
        None => "reused".to_owned(),
        Some(FromRemote { bytes: 0, .. }) => "reused from the remote".to_owned(),
        Some(FromRemote { bytes: size, .. }) => format!("reused from the remote ({})", bytes(size)),
    }
}

/// What became of a stage.
pub(super) fn state(state: StageState) -> &'static str {
    match state {
        StageState::Pending | StageState::NotRun => "not run",
        StageState::Running => "running",
        StageState::Reused => "reused",
        StageState::Finished => "ran",
        StageState::Unpublished => "ran, not cached",
        StageState::Failed => "failed",
        StageState::Superseded => "stopped",
    }
}

/// A line about an epoch.
fn epoch(metrics: &EpochMetrics) -> String {
    let EpochMetrics { epoch, epochs, learning_rate, train_loss, train_accuracy, val_loss, val_accuracy, images_per_second, finished: _ } =
        metrics;
    let mut line = format!("epoch {epoch}/{epochs}  loss {train_loss:.4}  accuracy {:.2} %", train_accuracy * 100.0);
    if let (Some(loss), Some(accuracy)) = (val_loss, val_accuracy) {
        line += &format!("  val loss {loss:.4}  val accuracy {:.2} %", accuracy * 100.0);
    }
    line + &format!("  lr {}  {images_per_second:.0} images/s", self::learning_rate(*learning_rate))
}

/// What an event leaves to be read later, a line each; progress leaves nothing.
pub(super) fn lines(event: &RunEvent) -> Vec<String> {
    let mut lines = match event {
        RunEvent::Stage { stage, said } => match said {
            StageEvent::Epoch(metrics) => vec![format!("{stage}  {}", epoch(metrics))],
            StageEvent::Warning { message } => vec![format!("{stage}  warning: {message}")],
            StageEvent::Note { message } => vec![format!("{stage}  {message}")],
            StageEvent::Progress { .. }
            | StageEvent::EpochStarted(_)
            | StageEvent::EpochSoFar { .. }
            | StageEvent::Checkpoint { .. }
            | StageEvent::Metric { .. } => Vec::new(),
        },
        RunEvent::StageWaiting { stage, holder } => vec![format!("{stage}  waiting for {holder}")],
        RunEvent::StageStarted { stage, changes, .. } => vec![format!("{stage}  running: {}", write_changes(changes))],
        _ => ending(event).into_iter().collect(),
    };
    if let RunEvent::StageFinished(result) = event {
        lines.extend(remarks(result));
    }
    lines
}

/// The line with which a stage or a run ends, or that is told between runs; `None` for other events.
pub(super) fn ending(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::StageReused(result) => format!("{}  {}{}", result.stage, reused(result.from_remote), metrics(result)),
        RunEvent::StageFetching { stage, bytes: size, .. } => format!("{stage}  taking {} from the remote cache", bytes(*size)),
        RunEvent::RemoteFailed { problem } => format!("warning: {problem}; going on without it"),
        RunEvent::StageFinished(result) => {
            let rows = rows_reused(result.output.rows).map(|rows| format!(", {rows}")).unwrap_or_default();
            format!("{}  done in {}{rows}{}", result.stage, seconds(result.seconds), metrics(result))
        }
        RunEvent::StageFailed { stage, error, .. } => format!("{stage}  failed: {error}"),
        RunEvent::StageSuperseded { stage, training } => {
            let point = training.map(|point| format!("; it {point} if it is again")).unwrap_or_default();
            format!("{stage}  stopped: it is no longer wanted{point}")
        }
        RunEvent::StageNotRun { stage, needs: Some(needs) } => format!("{stage}  not run: it needs {needs}"),
        RunEvent::StageNotRun { stage, needs: None } => format!("{stage}  not run"),
        RunEvent::RunFinished { outcome, seconds: time } => format!("{} in {}", outcome_word(*outcome), seconds(*time)),
        RunEvent::Watching(counts) => format!("watching {}; Ctrl-C ends", watched(*counts)),
        RunEvent::Changed { changes } if changes.is_empty() => "touched, but with the same content as before".to_owned(),
        RunEvent::Changed { changes } => changes.iter().map(source_change).collect::<Vec<_>>().join("; "),
        RunEvent::RunSuperseded { wanted, moot } if moot.is_empty() && wanted.is_empty() => "the next run takes it up".to_owned(),
        RunEvent::RunSuperseded { wanted, moot } if moot.is_empty() => {
            format!("still wanted: {}; the next run comes after it", list(wanted))
        }
        RunEvent::RunSuperseded { moot, .. } => format!("no longer wanted: {}", list(moot)),
        RunEvent::Unrunnable { problem } => format!("{problem}\nwaiting until that is mended; Ctrl-C ends"),
        RunEvent::Polling { reason } => format!("looking for changes again and again, because {reason}"),
        _ => return None,
    })
}

/// `3 manifests, 1 file and 1 folder (3,000 files)`.
fn watched(counts: SourceCounts) -> String {
    let SourceCounts { manifests, files, folders, files_in_folders } = counts;
    let named = |count: u64, name: &str| (count > 0).then(|| counted(count, name));
    let folders = named(folders, "folder").map(|folders| format!("{folders} ({})", counted(files_in_folders, "file")));
    list(&[named(manifests, "manifest"), named(files, "file"), folders].into_iter().flatten().collect::<Vec<_>>())
}

/// `changed: fruit.yaml`, `30 files added in photos/`.
fn source_change(change: &SourceChange) -> String {
    let how = match change.how {
        SourceChangeKind::Added => "added",
        SourceChangeKind::Removed => "removed",
        SourceChangeKind::Changed => "changed",
    };
    let path = change.path.display();
    if change.files == 1 { format!("{how}: {path}") } else { format!("{} {how} in {path}/", counted(change.files, "file")) }
}

/// `1 file`, `3,000 files`.
fn counted(count: u64, name: &str) -> String {
    format!("{} {name}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// What to know of a result beyond its numbers, one line each.
pub(super) fn remarks(result: &StageResult) -> Vec<String> {
    let mut remarks: Vec<String> = Vec::new();
    for path in &result.unstable_inputs {
        remarks.push(format!("{} changed while {} ran; its result is not cached, run again", path.display(), result.stage));
    }
    remarks
}

fn metrics(result: &StageResult) -> String {
    result.metrics.iter().map(|found| format!("  {} {}", found.name, metric(&found.name, found.value))).collect()
}

fn outcome_word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded => "finished",
        RunOutcome::Failed => "failed",
        RunOutcome::Superseded => "ended early",
        RunOutcome::Interrupted => "interrupted",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn durations_read_well_at_every_length() {
        let shown: Vec<String> = [0.04, 9.94, 9.96, 59.4, 59.6, 200.0, 3599.6, 7500.0].into_iter().map(super::seconds).collect();
        assert_eq!(shown, ["40 ms", "9.9 s", "10 s", "59 s", "1 min 0 s", "3 min 20 s", "1 h 0 min", "2 h 5 min"]);
    }

    #[test]
    fn a_clock_has_hours_once_there_are_some() {
        assert_eq!([0.4, 67.0, 3723.9].map(super::clock), ["0:00", "1:07", "1:02:03"]);
    }

    #[test]
    fn learning_rates_have_the_digits_that_they_need_and_no_more_than_three() {
        let shown = [0.0, 0.01, 0.001, 8.535_533_905_932_737e-4, 9.999_8e-3, 1.5].map(super::learning_rate);
        assert_eq!(shown, ["0", "1e-2", "1e-3", "8.54e-4", "1e-2", "1.5e0"]);
    }

    #[test]
    fn sizes_read_well_at_every_length() {
        let shown: Vec<String> = [0, 185, 1024, 10_240, 451_770_752, 3_932_160_000].into_iter().map(super::bytes).collect();
        assert_eq!(shown, ["0 B", "185 B", "1.0 KiB", "10 KiB", "431 MiB", "3.7 GiB"]);
    }

    #[test]
    fn names_are_listed_as_in_a_sentence() {
        let names = ["a", "b", "c"];
        let shown: Vec<String> = (0..4).map(|count| super::list(&names[..count])).collect();
        assert_eq!(shown, ["", "a", "a and b", "a, b and c"]);
    }
}
