//! `packtrain run --watch`: one run after another, each when something that it reads has changed.
//!
//! While a run goes on, a second thread looks out. After a change it loads the manifest again and asks what is wanted now. If a
//! running stage is not, the run is cut; else what runs may finish, and nothing else begins. Either way the next run follows. A
//! manifest that is wrong says nothing of what is wanted: what runs goes on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::error::CommandError;
use crate::cli::project::current_folder;
use crate::cli::run::{Executed, Prepared, RunArgs, execute, stop_by_signal};
use crate::cli::{ExitCode, Global};
use crate::event::{RunEvent, RunOutcome, SourceChange};
use crate::exec::{Outside, Stop};
use crate::plan::{Plan, wanted_keys};
use crate::record::RunRecord;
use crate::report::{Reporter, write_summary, write_way_on};
use crate::watch::{Judge, Lookout, Sources, Verdict};

/// How often a manifest that is wrong is read again: what it lacks may appear anywhere.
const RETRY: Duration = Duration::from_secs(1);

/// How soon a Ctrl-C is noticed meanwhile.
const MOMENT: Duration = Duration::from_millis(50);

/// All runs of one command.
struct Session<'a> {
    args: &'a RunArgs,
    global: &'a Global,
    current_dir: PathBuf,
    stop: Arc<Stop>,
    screen: Mutex<Box<dyn Reporter + Send>>,
    /// What is wrong with the manifest, as it was told last.
    problem: Mutex<Option<String>>,
    has_told_polling: AtomicBool,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Run,
    End,
}

/// Runs until Ctrl-C.
///
/// # Errors
///
/// Those of the first start that no edit of the manifest mends, and those of the cache.
pub(super) fn run(args: &RunArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let current_dir = current_folder()?;
    let (screen, problem) = (Mutex::new(args.reporter()), Mutex::new(None));
    let (stop, has_told_polling) = (stop_by_signal()?, AtomicBool::new(false));
    let session = Session { args, global, current_dir, stop, screen, problem, has_told_polling };
    match session.prepare() {
        Err(CommandError::Manifest(_)) if args.manifest.file().is_file() => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let mut is_first = true;
    while let Some(mut prepared) = session.wait_for_manifest() {
        if !is_first {
            prepared.options.force.clear();
        }
        is_first = false;
        let (outcome, next) = session.round(&prepared)?;
        match (outcome, next) {
            (RunOutcome::Interrupted, _) => return Ok(ExitCode::Interrupted),
            (_, Next::End) => break,
            (_, Next::Run) => {}
        }
    }
    Ok(ExitCode::Success)
}

impl Session<'_> {
    /// The manifest as it is now, with stages to run.
    fn prepare(&self) -> Result<Prepared, CommandError> {
        let prepared = self.args.prepare(self.global)?;
        self.args.selection.plans(&prepared.loaded)?;
        *lock(&self.problem) = None;
        Ok(prepared)
    }

    /// Until it can be run; `None` if the user ends it before.
    fn wait_for_manifest(&self) -> Option<Prepared> {
        loop {
            match self.prepare() {
                Ok(prepared) => return Some(prepared),
                Err(error) => self.tell_problem(&error),
            }
            let since = Instant::now();
            while since.elapsed() < RETRY {
                if self.stop.is_interrupted() {
                    return None;
                }
                thread::sleep(MOMENT);
            }
        }
    }

    /// One run and, unless something has changed already, the wait for a change.
    fn round(&self, prepared: &Prepared) -> Result<(RunOutcome, Next), CommandError> {
        let memo = prepared.cache.memo();
        let plans = self.args.selection.plans(&prepared.loaded)?;
        let mut lookout = Lookout::new(sources(prepared, &plans), memo);
        if let Some(reason) = lookout.polls_because()
            && !self.has_told_polling.swap(true, Ordering::SeqCst)
        {
            self.tell(RunEvent::Polling { reason: reason.to_owned() });
        }
        self.stop.renew();
        let (mut executed, has_changed) = self.run_and_look_out(prepared, &plans, &mut lookout)?;
        let outcome = executed.record.outcome.unwrap_or(RunOutcome::Superseded);
        self.args.labels.write(&mut executed.record, &prepared.cache)?;
        let Executed { record, .. } = executed;
        self.summarize(&record)?;
        if outcome == RunOutcome::Interrupted || has_changed {
            return Ok((outcome, Next::Run));
        }
        self.tell(RunEvent::Watching(lookout.counts()));
        let is_over = || self.stop.is_interrupted();
        while let Some(changes) = lookout.next_change(memo, &is_over) {
            let is_touched_only = changes.is_empty();
            self.tell_changes(changes);
            if !is_touched_only {
                return Ok((outcome, Next::Run));
            }
        }
        Ok((outcome, Next::End))
    }

    /// The run, and whether something changed meanwhile.
    fn run_and_look_out(&self, prepared: &Prepared, plans: &[Plan<'_>], lookout: &mut Lookout) -> Result<(Executed, bool), CommandError> {
        let judge = Mutex::new(Judge::default());
        let is_over = AtomicBool::new(false);
        let mut hear = |event: RunEvent| {
            if lock(&judge).hear(&event) {
                self.stop.cut();
            }
            self.tell(event);
        };
        thread::scope(|scope| {
            let looking = scope.spawn(|| self.look_out(prepared, &judge, lookout, &is_over));
            let executed = execute(prepared, plans, &self.global.command, &mut Outside { emit: &mut hear, stop: &self.stop });
            is_over.store(true, Ordering::SeqCst);
            // A thread that panicked has seen nothing more; to run once more does no harm.
            let has_changed = looking.join().unwrap_or(true);
            Ok((executed?, has_changed))
        })
    }

    /// While a run goes on; whether something changed.
    fn look_out(&self, prepared: &Prepared, judge: &Mutex<Judge>, lookout: &mut Lookout, is_over: &AtomicBool) -> bool {
        let mut has_changed = false;
        let memo = prepared.cache.memo();
        while let Some(changes) = lookout.next_change(memo, &|| is_over.load(Ordering::SeqCst)) {
            let is_touched_only = changes.is_empty();
            self.tell_changes(changes);
            if is_touched_only {
                continue;
            }
            has_changed = true;
            if let Err(error) = self.judge(prepared, judge, lookout) {
                self.tell_problem(&error);
            }
        }
        has_changed
    }

    /// Loads the manifest again, and stops what it no longer asks for.
    fn judge(&self, prepared: &Prepared, judge: &Mutex<Judge>, lookout: &mut Lookout) -> Result<(), CommandError> {
        let fresh = self.prepare()?;
        let plans = self.args.selection.plans(&fresh.loaded)?;
        *lookout = Lookout::new(sources(&fresh, &plans), prepared.cache.memo());
        let is_same_place = fresh.loaded.project == prepared.loaded.project;
        let wanted = if is_same_place { wanted_keys(&plans, &prepared.cache)? } else { BTreeSet::new() };
        // First nothing new begins, then what runs is judged; what is about to begin is judged when it does.
        self.stop.supersede();
        let Verdict { wanted, moot } = lock(judge).judge(wanted);
        let is_cut = !moot.is_empty();
        self.tell(RunEvent::RunSuperseded { wanted, moot });
        if is_cut {
            self.stop.cut();
        }
        Ok(())
    }

    fn summarize(&self, record: &RunRecord) -> io::Result<()> {
        if self.args.json {
            return Ok(());
        }
        write_summary(record, &mut io::stdout().lock())?;
        // After all other ends this very command goes on.
        if self.stop.is_interrupted() { write_way_on(record, &mut io::stderr().lock()) } else { Ok(()) }
    }

    fn tell(&self, event: RunEvent) {
        lock(&self.screen).on_event(&event);
    }

    fn tell_changes(&self, changes: Vec<SourceChange>) {
        let shown = |path: &Path| path.strip_prefix(&self.current_dir).map_or(path.to_owned(), Path::to_owned);
        let changes = changes.into_iter().map(|change| SourceChange { path: shown(&change.path), ..change }).collect();
        self.tell(RunEvent::Changed { changes });
    }

    /// The same problem is told once.
    fn tell_problem(&self, error: &CommandError) {
        let text = error.text();
        let problem = if self.args.json { anstream::adapter::strip_str(&text).to_string() } else { text };
        let mut told = lock(&self.problem);
        if told.as_ref() != Some(&problem) {
            self.tell(RunEvent::Unrunnable { problem: problem.clone() });
            *told = Some(problem);
        }
    }
}

fn sources(prepared: &Prepared, plans: &[Plan<'_>]) -> Sources {
    let loaded = &prepared.loaded;
    Sources::of(&loaded.family, plans, &loaded.project, loaded.profile_files.iter().cloned())
}

/// What a thread that panicked has left is as good as any.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
