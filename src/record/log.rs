//! The log of a run that goes on: what it was when it began to work, then its events, a line each.
//!
//! `<id>.events` lies beside the records and is gone as soon as the run's record is there. A run that has nothing to do writes none.
//! The writer holds the file locked, and the kernel lets go of the lock when the process dies, whatever the cause: a log that nobody
//! holds is that of a run that was cut off.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::event::{RunEvent, StageEvent};
use crate::key::StagePath;
use crate::record::RunRecord;

/// What the names of logs end with.
pub(super) const EVENTS: &str = "events";

/// How often a stage's progress is written: those who look at it cannot read more, and a training goes on for days.
const PROGRESS: Duration = Duration::from_millis(500);

/// An event with its moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// In seconds after the run's beginning.
    pub at: f64,
    #[serde(flatten)]
    pub event: RunEvent,
}

/// Written by the process that runs.
#[derive(Debug)]
pub struct EventLog {
    folder: PathBuf,
    began: Instant,
    /// Open once something runs; held for its lock too.
    file: Option<File>,
    /// The activity of each stage that was written last, and when.
    told: BTreeMap<StagePath, (String, Instant)>,
}

/// Read by those who look at a run.
#[derive(Debug)]
pub struct LogReader {
    lines: BufReader<File>,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
    /// The run when it began to work.
    beginning: RunRecord,
}

impl EventLog {
    /// The log of a run that begins, in the folder of records.
    pub fn new(folder: PathBuf) -> EventLog {
        EventLog { folder, began: Instant::now(), file: None, told: BTreeMap::new() }
    }

    /// Writes the next event of the run that `before` has recorded so far. Nothing is written before something runs.
    pub fn write(&mut self, before: &RunRecord, event: &RunEvent) -> io::Result<()> {
        if self.file.is_none() {
            if !matches!(event, RunEvent::StageStarted { .. } | RunEvent::StageWaiting { .. }) {
                return Ok(());
            }
            settle(&self.folder)?;
            self.file = Some(open(&self.folder, before)?);
        }
        if self.is_told_already(event) {
            return Ok(());
        }
        let line = LoggedEvent { at: self.began.elapsed().as_secs_f64(), event: event.clone() };
        self.file.as_mut().map_or(Ok(()), |file| write_line(file, &line))
    }

    fn is_told_already(&mut self, event: &RunEvent) -> bool {
        let RunEvent::Stage { stage, said: StageEvent::Progress { activity, done, total, .. } } = event else { return false };
        let is_recent = |(told, when): &(String, Instant)| told == activity && when.elapsed() < PROGRESS && done < total;
        if self.told.get(stage).is_some_and(is_recent) {
            return true;
        }
        self.told.insert(stage.clone(), (activity.clone(), Instant::now()));
        false
    }
}

impl LogReader {
    /// The log of a run in the folder of records; `None` if it has none, because it has ended or had nothing to do.
    pub fn open(folder: &Path, run: &str) -> io::Result<Option<LogReader>> {
        LogReader::open_file(&folder.join(format!("{run}.{EVENTS}")))
    }

    pub(super) fn open_file(path: &Path) -> io::Result<Option<LogReader>> {
        let mut lines = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => BufReader::new(file?),
        };
        let mut line = String::new();
        lines.read_line(&mut line)?;
        Ok(Some(LogReader { beginning: serde_json::from_str(&line)?, lines, unfinished: Vec::new() }))
    }

    /// The run when it began to work.
    pub fn beginning(&self) -> &RunRecord {
        &self.beginning
    }

    /// Whether the run's process lives.
    pub fn is_held(&self) -> io::Result<bool> {
        let file = self.lines.get_ref();
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The next event, if it is written already. A line that cannot be read is passed over: it may be of a later version.
    pub fn next_event(&mut self) -> io::Result<Option<LoggedEvent>> {
        loop {
            self.lines.read_until(b'\n', &mut self.unfinished)?;
            if self.unfinished.last() != Some(&b'\n') {
                return Ok(None);
            }
            let event = serde_json::from_slice(&self.unfinished);
            self.unfinished.clear();
            if let Ok(event) = event {
                return Ok(Some(event));
            }
        }
    }

    /// The run as far as it is written.
    pub(super) fn into_record(mut self) -> io::Result<RunRecord> {
        let mut record = self.beginning.clone();
        while let Some(logged) = self.next_event()? {
            record.apply(&logged.event);
            record.seconds = record.seconds.max(logged.at);
        }
        Ok(record)
    }
}

/// Those of the paths that are logs.
pub(super) fn is_log(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(EVENTS))
}

/// Makes records of the logs of runs that were cut off.
fn settle(folder: &Path) -> io::Result<()> {
    for path in fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?.into_iter().map(|entry| entry.path()) {
        if !is_log(&path) {
            continue;
        }
        // A log that cannot be read, or that another run has settled meanwhile, is no reason not to run.
        if let Ok(Some(log)) = LogReader::open_file(&path)
            && !log.is_held()?
            && !path.with_extension("json").exists()
            && let Ok(record) = log.into_record()
        {
            record.write(folder)?;
        }
    }
    Ok(())
}

/// Locked before it has its name, so that nobody finds it without its holder.
fn open(folder: &Path, record: &RunRecord) -> io::Result<File> {
    let temporary = folder.join(format!(".tmp-{}", record.id));
    let mut file = File::options().create_new(true).write(true).open(&temporary)?;
    file.lock()?;
    write_line(&mut file, record)?;
    fs::rename(&temporary, folder.join(format!("{}.{EVENTS}", record.id)))?;
    Ok(file)
}

/// A line is written at once, so that readers seldom meet a part of one.
fn write_line(file: &mut File, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ListedStage, RunOutcome, Unit};
    use crate::record::{RunProvenance, Runs, StageState};

    fn path() -> StagePath {
        StagePath { variant: None, stage: "pack".parse().unwrap() }
    }

    fn said(said: StageEvent) -> RunEvent {
        RunEvent::Stage { stage: path(), said }
    }

    fn progress(activity: &str, done: u64) -> RunEvent {
        said(StageEvent::Progress { activity: activity.to_owned(), done, total: 9, unit: Unit::Images })
    }

    fn record(id: &str) -> RunRecord {
        let provenance = RunProvenance { started: "2026-01-02T03:04:05Z".to_owned(), ..RunProvenance::default() };
        let mut record = RunRecord::new(id.to_owned(), provenance);
        let stages = vec![ListedStage { stage: path(), kind: "pack".to_owned(), needs: Vec::new() }];
        record.apply(&RunEvent::RunStarted { run: id.to_owned(), pipeline: String::new(), command: Vec::new(), stages });
        record
    }

    fn waiting() -> RunEvent {
        RunEvent::StageWaiting { stage: path(), holder: "another".to_owned() }
    }

    #[test]
    fn a_run_is_running_while_its_log_is_held_and_cut_off_when_nobody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (record, mut log) = (record("1"), EventLog::new(folder.path().to_owned()));
        log.write(&record, &RunEvent::Polling { reason: String::new() }).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing runs yet");
        log.write(&record, &waiting()).unwrap();
        log.write(&record, &said(StageEvent::Warning { message: "odd".to_owned() })).unwrap();
        let runs = Runs::read(folder.path()).unwrap();
        assert_eq!((runs.heads().len(), runs.running().len()), (0, 1));
        assert!(runs.running()[0].is_running);
        drop(log);
        let runs = Runs::read(folder.path()).unwrap();
        assert_eq!((runs.heads().len(), runs.running().len()), (1, 0));
        let cut = runs.record(&runs.heads()[0]).unwrap();
        assert_eq!((cut.outcome, &cut.stages[0].warnings[..]), (None, &["odd".to_owned()][..]));
    }

    #[test]
    fn the_next_run_that_works_makes_records_of_those_that_were_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let begin = |id: &str| {
            let mut log = EventLog::new(folder.path().to_owned());
            log.write(&record(id), &waiting()).unwrap();
            log
        };
        let (alive, dead) = (begin("1"), begin("2"));
        drop(dead);
        let third = begin("3");
        let mut names: Vec<String> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["1.events", "2.json", "3.events"]);
        let mut ended = record("1");
        ended.outcome = Some(RunOutcome::Succeeded);
        ended.write(folder.path()).unwrap();
        drop((alive, third));
        assert!(!folder.path().join("1.events").exists(), "a record takes the place of a log");
    }

    #[test]
    fn a_reader_follows_what_is_written_and_waits_for_the_end_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::new(folder.path().to_owned());
        log.write(&record("1"), &waiting()).unwrap();
        let mut reader = LogReader::open(folder.path(), "1").unwrap().unwrap();
        assert_eq!(reader.beginning().stages[0].state, StageState::Pending);
        assert_eq!(reader.next_event().unwrap().map(|logged| logged.event), Some(waiting()));
        assert_eq!(reader.next_event().unwrap(), None);
        let file = log.file.as_mut().unwrap();
        file.write_all(b"{\"event\":\"from a later version\",\"at\":1}\n{\"at\":1.5,\"event\":\"pol").unwrap();
        assert_eq!(reader.next_event().unwrap(), None);
        log.file.as_mut().unwrap().write_all(b"ling\",\"reason\":\"x\"}\n").unwrap();
        let polling = LoggedEvent { at: 1.5, event: RunEvent::Polling { reason: "x".to_owned() } };
        assert_eq!(reader.next_event().unwrap(), Some(polling));
        assert!(reader.is_held().unwrap());
        assert!(LogReader::open(folder.path(), "2").unwrap().is_none());
    }

    #[test]
    fn progress_is_written_twice_a_second_at_most_but_no_end_of_it_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let (record, mut log) = (record("1"), EventLog::new(folder.path().to_owned()));
        log.write(&record, &waiting()).unwrap();
        let all = [progress("a", 1), progress("a", 2), progress("a", 9), progress("b", 1), progress("b", 2)];
        all.iter().for_each(|event| log.write(&record, event).unwrap());
        let mut reader = LogReader::open(folder.path(), "1").unwrap().unwrap();
        let written: Vec<RunEvent> = std::iter::from_fn(|| reader.next_event().unwrap()).map(|logged| logged.event).skip(1).collect();
        assert_eq!(written, [progress("a", 1), progress("a", 9), progress("b", 1)]);
    }
}
