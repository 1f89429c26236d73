//! `packtrain run`.

mod watch;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::sync::Arc;

use clap::Args;

use crate::cache::Cache;
use crate::cli::error::CommandError;
use crate::cli::lock::LockedArgs;
use crate::cli::name::LabelArgs;
use crate::cli::project::{Loaded, ManifestArgs, SelectionArgs};
use crate::cli::{ExitCode, Global, completions, plan, provenance};
use crate::event::{ListedStage, RunEvent, RunOutcome};
use crate::exec::{self, Outside, RunOptions, Stop};
use crate::key::StageId;
use crate::plan::{Plan, upstream};
use crate::record::RunRecord;
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
struct Prepared {
    loaded: Loaded,
    cache: Cache,
    options: RunOptions,
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
        return plan::print(&plans, &prepared.cache, args.json);
    }
    let stop = stop_by_signal()?;
    let mut reporter = args.reporter();
    let mut record =
        execute(&prepared, &plans, &global.command, &mut Outside { emit: &mut |event| reporter.on_event(&event), stop: &stop })?;
    args.labels.write(&mut record, &prepared.cache)?;
    if !args.json {
        write_summary(&record, &mut io::stdout().lock())?;
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
            locked: None,
        };
        Ok(Prepared { cache: loaded.cache()?, loaded, options })
    }

    fn reporter(&self) -> Box<dyn Reporter + Send> {
        match () {
            () if self.json => Box::new(JsonLines::new(io::stdout())),
            () if io::stderr().is_terminal() => Box::new(Bars::new()),
            () => Box::new(Lines::new(io::stderr())),
        }
    }
}

/// Runs the plans; gives the record, which is not kept yet.
fn execute(prepared: &Prepared, plans: &[Plan<'_>], command: &[String], outside: &mut Outside<'_>) -> Result<RunRecord, CommandError> {
    let Prepared { loaded: Loaded { family, project, .. }, cache, options } = prepared;
    let run = provenance::run_id();
    let mut record = RunRecord::new(run.clone(), provenance::of(family, command));
    let mut hear = |event: RunEvent| {
        if matches!(&event, RunEvent::StageStarted { .. }) && record.provenance.git_commit.is_none() {
            provenance::add_git(&mut record.provenance, &project.root);
        }
        record.apply(&event);
        (outside.emit)(event);
    };
    let stages = plans.iter().flat_map(listed).collect();
    hear(RunEvent::RunStarted { run, pipeline: family.name.clone(), command: command.to_owned(), stages });
    exec::run(plans, project, cache, options, &mut Outside { emit: &mut hear, stop: outside.stop })?;
    Ok(record)
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
