//! `packtrain run`.

mod watch;

use std::collections::BTreeSet;
use std::env;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::num::NonZero;
use std::sync::Arc;

use clap::Args;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::lock::LockedArgs;
use crate::cli::name::LabelArgs;
use crate::cli::project::{Loaded, ManifestArgs, SelectionArgs};
use crate::cli::remote::AskRemoteArgs;
use crate::cli::{ExitCode, Global, completions, plan, provenance};
use crate::event::{ListedStage, RunEvent, RunOutcome};
use crate::exec::{self, Outside, RunOptions, Stop};
use crate::key::StageId;
use crate::plan::{Plan, upstream};
use crate::record::{EventLog, RunRecord};
use crate::report::{Bars, JsonLines, Lines, Reporter, write_summary, write_way_on};
use crate::stage::Device;

/// Run a pipeline, or every variant of its matrix: reuse what is there, do the rest
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    labels: LabelArgs,
    #[command(flatten)]
    locked: LockedArgs,
    /// Where networks run: auto, cpu, cuda or cuda:N; by default as the profile says, else auto
    #[arg(long)]
    device: Option<Device>,
    /// Run this stage even if its result is there; may be given several times
    #[arg(long, value_name = "STAGE", add = completions::stages())]
    force: Vec<StageId>,
    /// After a failure go on with stages that do not need the failed one
    #[arg(short, long)]
    keep_going: bool,
    /// At most so many stages at once; by default as many as the machine has room for
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
    /// Only say what would run
    #[arg(long)]
    dry_run: bool,
    /// Run again whenever a manifest or an input file changes, until Ctrl-C; what a change makes moot is stopped
    #[arg(short, long, conflicts_with_all = ["dry_run", "name", "locked"])]
    watch: bool,
    /// Print every event as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A run that is ready to begin.
pub(super) struct Prepared {
    pub(super) loaded: Loaded,
    pub(super) cache: Cache,
    pub(super) options: RunOptions,
}

pub(super) fn run(args: &RunArgs, global: &Global) -> Result<ExitCode, CommandError> {
    if args.watch {
        return watch::run(args, global);
    }
    let mut prepared = args.prepare(global)?;
    prepared.options.locked = args.locked.check(&args.manifest, &args.selection.plans(&prepared.loaded)?, &prepared.cache)?;
    let plans = args.selection.plans(&prepared.loaded)?;
    args.labels.check(&prepared.cache)?;
    if args.dry_run {
        let forecasts = AskRemoteArgs::default().forecast(&plans, &prepared.cache, prepared.options.remote.as_deref())?;
        return plan::print(&forecasts, args.json);
    }
    let stop = stop_by_signal()?;
    let mut reporter = args.reporter();
    let mut executed =
        execute(&prepared, &plans, &global.command, &mut Outside { emit: &mut |event| reporter.on_event(&event), stop: &stop })?;
    args.labels.write(&mut executed.record, &prepared.cache)?;
    let Executed { record, .. } = executed;
    if !args.json {
        let mut out = BufWriter::new(io::stdout().lock());
        write_summary(&record, &mut out)?;
        out.flush()?;
        drop(out);
        write_way_on(&record, &mut io::stderr().lock())?;
    }
    Ok(match record.outcome {
        Some(RunOutcome::Succeeded | RunOutcome::Superseded) | None => ExitCode::Success,
        Some(RunOutcome::Failed) => ExitCode::StageFailed,
        Some(RunOutcome::Interrupted) => ExitCode::Interrupted,
    })
}

impl RunArgs {
    fn prepare(&self, global: &Global) -> Result<Prepared, CommandError> {
        let loaded = self.manifest.load(global)?;
        self.force.iter().try_for_each(|stage| loaded.check_stage(stage))?;
        let profile = loaded.profile.as_ref();
        let options = RunOptions {
            device: self.device.or(profile.and_then(|profile| profile.device)).unwrap_or_default(),
            force: self.force.iter().cloned().collect(),
            keep_going: self.keep_going,
            jobs: self.jobs.or(profile.and_then(|profile| profile.jobs)).map(NonZero::get),
            remote: loaded.remote(global)?.map(Arc::new),
            ..RunOptions::default()
        };
        Ok(Prepared { cache: loaded.cache()?, loaded, options })
    }

    fn reporter(&self) -> Box<dyn Reporter + Send> {
        reporter(self.json)
    }
}

/// Shows a run as lines of JSON, as bars or as plain lines.
pub(super) fn reporter(json: bool) -> Box<dyn Reporter + Send> {
    match () {
        () if json => Box::new(JsonLines::new(io::stdout())),
        () if io::stderr().is_terminal() && !is_for_a_log() => Box::new(Bars::new()),
        () => Box::new(Lines::new(io::stderr())),
    }
}

/// Whether what is written is kept as text, although it looks like a terminal: continuous integration often gives its programs one.
#[expect(clippy::disallowed_methods, reason = "what a terminal is for is said by its environment")]
fn is_for_a_log() -> bool {
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0");
    is_ci || env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// A run that is over.
pub(super) struct Executed {
    /// Not kept yet.
    pub(super) record: RunRecord,
    /// Held until the record is kept: whoever looks at the run sees it go on until then.
    #[expect(dead_code, reason = "held for its lock")]
    log: Option<EventLog>,
}

/// Runs the plans.
pub(super) fn execute(
    prepared: &Prepared,
    plans: &[Plan<'_>],
    command: &[String],
    outside: &mut Outside<'_>,
) -> Result<Executed, CommandError> {
    let Prepared { loaded: Loaded { family, project, .. }, cache, options } = prepared;
    let run = provenance::run_id();
    let mut record = RunRecord::new(run.clone(), provenance::of(family, command));
    // What is made aside is nobody's run.
    let mut log = (!options.aside).then(|| EventLog::new(cache.runs()));
    let mut hear = |event: RunEvent| {
        if matches!(&event, RunEvent::StageStarted { .. }) && record.provenance.git_commit.is_none() {
            provenance::add_git(&mut record.provenance, &project.root);
        }
        if let Some(log) = &mut log {
            // Those who look on miss something then; the run's results do not.
            drop(log.write(&record, &event));
        }
        record.apply(&event);
        (outside.emit)(event);
    };
    let stages = plans.iter().flat_map(listed).collect();
    hear(RunEvent::RunStarted { run, pipeline: family.name.clone(), command: command.to_owned(), stages });
    exec::run(plans, project, cache, options, &mut Outside { emit: &mut hear, stop: outside.stop })?;
    Ok(Executed { record, log })
}

fn listed(plan: &Plan<'_>) -> impl Iterator<Item = ListedStage> {
    plan.stages().iter().map(|stage| ListedStage {
        stage: plan.pipeline.stage_path(&stage.id),
        kind: stage.spec.kind().to_owned(),
        needs: upstream(stage).collect::<BTreeSet<_>>().into_iter().cloned().collect(),
    })
}

/// The first Ctrl-C asks the run to stop; a second one ends the program at once.
pub(super) fn stop_by_signal() -> Result<Arc<Stop>, CommandError> {
    let stop = Arc::new(Stop::default());
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.interrupt() {
            #[expect(clippy::disallowed_methods, reason = "who presses twice does not want to wait for destructors")]
            std::process::exit(i32::from(ExitCode::Interrupted as u8));
        }
    })?;
    Ok(stop)
}
