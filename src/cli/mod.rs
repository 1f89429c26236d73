//! The commands: one file each. Errors become what the user reads here and nowhere else.

mod bundle;
mod cache;
mod check;
mod completions;
mod demo_data;
mod diff;
mod error;
mod exit_code;
mod explain;
mod graph;
mod guard;
mod history;
mod import;
mod lock;
mod metrics;
mod name;
mod new;
mod plan;
mod predict;
mod profile;
mod project;
mod provenance;
mod remote;
mod report;
mod run;
mod schema;
mod scope;
mod show;
mod status;
mod tensorboard;
mod ui;
mod validate;
mod version;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::cli::error::CommandError;
pub use crate::cli::exit_code::ExitCode;

/// Runs image-classification experiments that are written as YAML manifests.
///
/// A manifest names stages; stages whose inputs did not change are skipped by content, the rest are run.
#[derive(Debug, Parser)]
#[command(name = "packtrain", disable_version_flag = true, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    /// Print the versions of packtrain, libtorch and HDF5, and the devices that the worker sees
    #[arg(short = 'V', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Global {
    /// Folder of the cache, instead of .packtrain at the project's root
    #[arg(long, global = true, value_name = "FOLDER", env = "PACKTRAIN_STATE")]
    state_dir: Option<std::path::PathBuf>,
    /// Take the settings of this machine from packtrain-profiles.yaml at the project's root, or from the user's own profiles
    #[arg(long, global = true, value_name = "NAME", env = "PACKTRAIN_PROFILE", add = completions::profiles())]
    profile: Option<String>,
    /// A cache elsewhere, from which results are taken that are not here: a folder, http(s)://… or s3://bucket/prefix; none: none
    #[arg(long, global = true, value_name = "PLACE", env = "PACKTRAIN_REMOTE", hide_env_values = true)]
    remote: Option<String>,
    /// The words of the command line, to tell how to repeat it.
    #[arg(skip)]
    command: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::NewArgs),
    Run(run::RunArgs),
    Plan(plan::PlanArgs),
    Status(status::StatusArgs),
    Explain(explain::ExplainArgs),
    Check(check::CheckArgs),
    Lock(lock::LockArgs),
    Validate(validate::ValidateArgs),
    Graph(graph::GraphArgs),
    Report(report::ReportArgs),
    Ui(ui::UiArgs),
    Schema(schema::SchemaArgs),
    History(history::HistoryArgs),
    Metrics(metrics::MetricsArgs),
    Diff(diff::DiffArgs),
    Show(show::ShowArgs),
    Predict(predict::PredictArgs),
    Name(name::NameArgs),
    Tag(name::TagArgs),
    Tensorboard(tensorboard::TensorboardArgs),
    Bundle(bundle::BundleArgs),
    Import(import::ImportArgs),
    Cache(cache::CacheArgs),
    Completions(completions::CompletionsArgs),
    DemoData(demo_data::DemoDataArgs),
    #[command(hide = true)]
    Guard(guard::GuardArgs),
}

/// Parses the command line, runs the command, reports its error, and says with which code to exit. Answers a shell that asks how
/// to complete a word instead.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = completions::answer(&arguments).and_then(|answered| match answered {
        true => Ok(None),
        false => Cli::try_parse_from(&arguments).map(Some),
    });
    let mut cli = match parsed {
        Ok(Some(cli)) => cli,
        Ok(None) => return ExitCode::Success,
        Err(error) => {
            // Help and usage errors carry their own text; a closed pipe is no reason to fail.
            drop(error.print());
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    cli.global.command = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => error.report(&mut io::stderr().lock()),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, CommandError> {
    if cli.version {
        return version::print(&mut io::stdout().lock());
    }
    let global = &cli.global;
    match cli.command {
        Some(Command::New(args)) => new::run(&args),
        Some(Command::Run(args)) => run::run(&args, global),
        Some(Command::Plan(args)) => plan::run(&args, global),
        Some(Command::Status(args)) => status::run(&args, global),
        Some(Command::Explain(args)) => explain::run(&args, global),
        Some(Command::Check(args)) => check::run(&args, global),
        Some(Command::Lock(args)) => lock::run(&args, global),
        Some(Command::Validate(args)) => validate::run(&args, global),
        Some(Command::Graph(args)) => graph::run(&args, global),
        Some(Command::Report(args)) => report::run(&args, global),
        Some(Command::Ui(args)) => ui::run(&args, global),
        Some(Command::Schema(args)) => schema::run(&args),
        Some(Command::History(args)) => history::run(&args, global),
        Some(Command::Metrics(args)) => metrics::run(&args, global),
        Some(Command::Diff(args)) => diff::run(&args, global),
        Some(Command::Show(args)) => show::run(&args, global),
        Some(Command::Predict(args)) => predict::run(&args, global),
        Some(Command::Name(args)) => name::run(&args, global),
        Some(Command::Tag(args)) => name::run_tag(&args, global),
        Some(Command::Tensorboard(args)) => tensorboard::run(&args, global),
        Some(Command::Bundle(args)) => bundle::run(&args, global),
        Some(Command::Import(args)) => import::run(&args, global),
        Some(Command::Cache(args)) => cache::run(&args, global),
        Some(Command::Completions(args)) => completions::run(&args),
        Some(Command::DemoData(args)) => demo_data::run(&args),
        Some(Command::Guard(args)) => guard::run(&args),
        None => {
            write!(io::stdout(), "{}", Cli::command().render_help())?;
            Ok(ExitCode::Usage)
        }
    }
}
