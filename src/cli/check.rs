//! `packtrain check`.

use std::io::{self, IsTerminal, Write};

use clap::Args;

use crate::artifact::Distance;
use crate::cache::Verdict;
use crate::cli::error::CommandError;
use crate::cli::project::ManifestArgs;
use crate::cli::run::stop_by_signal;
use crate::cli::{ExitCode, Global, completions};
use crate::event::RunEvent;
use crate::exec::{CheckOptions, CheckOutcome, CheckOutside, check};
use crate::key::StageId;
use crate::plan::{Plan, Selection};
use crate::report::{Bars, Lines, Reporter, grouped};
use crate::stage::Device;

/// Run a stage again, aside, and say whether it gives what it gave
///
/// Nothing is published but the verdict, which `status` and `explain` show. Trainings run from the beginning, rows are not copied. Exits
/// with 5 if the results differ by more than the tolerance.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage; its result has to be there
    #[arg(value_name = "STAGE", add = completions::stages())]
    stage: StageId,
    /// The share by which numbers may differ
    #[arg(long, value_name = "SHARE", default_value_t = 1e-5)]
    tolerance: f64,
    /// Where networks run: auto, cpu, cuda or cuda:N; by default as the profile says, else auto
    #[arg(long)]
    device: Option<Device>,
    /// Print the verdict as JSON: a list with an object for every variant
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs, global: &Global) -> Result<ExitCode, CommandError> {
    let loaded = args.manifest.load(global)?;
    loaded.check_stage(&args.stage)?;
    let cache = loaded.cache()?;
    let device = args.device.or(loaded.profile.as_ref().and_then(|profile| profile.device)).unwrap_or_default();
    let options = CheckOptions { device, tolerance: args.tolerance };
    let selection = Selection { until: [args.stage.clone()].into(), ..Selection::default() };
    let stop = stop_by_signal()?;
    let mut reporter: Option<Box<dyn Reporter + Send>> = match args.json {
        true => None,
        false if io::stderr().is_terminal() => Some(Box::new(Bars::new())),
        false => Some(Box::new(Lines::new(io::stderr()))),
    };
    let mut hear = |event: RunEvent| reporter.iter_mut().for_each(|reporter| reporter.on_event(&event));
    let mut outcomes: Vec<CheckOutcome> = Vec::new();
    for plan in loaded.plans().into_iter().map(|plan: Plan<'_>| plan.select(&selection)) {
        let outcome = check(&plan, &cache, options, &mut CheckOutside { emit: &mut hear, stop: &stop });
        outcomes
            .push(outcome.map_err(|error| CommandError::Check { stage: plan.pipeline.stage_path(&args.stage), source: Box::new(error) })?);
    }
    cache.memo().save()?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &outcomes).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        outcomes.iter().try_for_each(|outcome| tell(outcome, &mut out))?;
    }
    let is_different = outcomes.iter().any(|outcome| outcome.check.verdict == Verdict::Different);
    Ok(if is_different { ExitCode::Different } else { ExitCode::Success })
}

fn tell(outcome: &CheckOutcome, out: &mut dyn Write) -> io::Result<()> {
    let CheckOutcome { stage, check, device_before, outputs } = outcome;
    let device = check.device.as_ref().map(|device| format!(", on {device}")).unwrap_or_default();
    writeln!(out, "{stage} is {}{device}", check.verdict.as_str())?;
    for output in outputs.iter().filter(|output| output.distance != Distance::None) {
        writeln!(out, "  {}: {}", output.output, words(&output.distance))?;
    }
    match (device_before, &check.device) {
        (Some(before), Some(now)) if before != now && check.verdict != Verdict::BitExact => {
            writeln!(out, "  it was made on {before}: other devices give other bits")
        }
        _ => Ok(()),
    }
}

fn words(distance: &Distance) -> String {
    match distance {
        Distance::None => "the same bytes".to_owned(),
        Distance::Numbers { greatest, place, differing, of } => {
            format!("{} of {} numbers differ, the most by {greatest:.1e} of its size, at {place}", grouped(*differing), grouped(*of))
        }
        Distance::Bytes { differing, of, place } => {
            format!("{} of {} bytes differ, first at {place}", grouped(*differing), grouped(*of))
        }
        Distance::Form { reason } => format!("another form: {reason}"),
    }
}
