//! From the library's errors to what the user reads: the text, a hint, an exit code.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use thiserror::Error;

use crate::artifact::ArtifactError;
use crate::bundle::BundleError;
use crate::cache::CacheError;
use crate::cli::ExitCode;
use crate::cli::new::NewError;
use crate::compare::ColumnError;
use crate::exec::{ExecError, WorkerError};
use crate::key::{StageId, StagePath};
use crate::lockfile::LockError;
use crate::manifest::{ManifestErrors, ProfileError, SelectionError};
use crate::plan::PlanError;
use crate::predict::PredictError;
use crate::record::{Label, ReferenceError};
use crate::remote::{LocationError, RemoteError};
use crate::stage::StageError;
use crate::tensorboard::TensorboardError;
use crate::ui::UiError;

/// Why a command failed.
#[derive(Debug, Error)]
pub(super) enum CommandError {
    #[error(transparent)]
    Manifest(#[from] ManifestErrors),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error("{0}")]
    Profile(String),
    #[error(transparent)]
    New(#[from] NewError),
    #[error("the variants of {pipeline} have different graphs; `--variant` picks one")]
    DifferentGraphs { pipeline: String },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("{0}")]
    Cache(#[from] CacheError),
    #[error("there is no cache at {state}", state = state.display())]
    NoCache { state: PathBuf },
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("{stage} cannot be checked: {source}")]
    Check { stage: StagePath, source: Box<ExecError> },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    RemoteLocation(#[from] LocationError),
    #[error("there is no remote cache to {0}")]
    NoRemote(&'static str),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("there is no stage `{stage}` in {pipeline}; its stages are {}", known.join(", "))]
    UnknownStage { stage: StageId, pipeline: String, known: Vec<String> },
    #[error("no stage of {pipeline} is chosen by `--only`, `--from` and `--until` together")]
    NothingChosen { pipeline: String },
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("the name `{name}` belongs to the run {run} of {pipeline}")]
    NameTaken { name: Label, run: String, pipeline: String },
    #[error("the run {run} of {pipeline} goes on; it can be given names and tags when it is over")]
    StillRunning { run: String, pipeline: String },
    #[error("there is no run of `{named}`{}", meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    UnknownPipeline { named: String, meant: Option<String> },
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error("the trainings have no epoch in common")]
    NoEqualEpoch,
    #[error("{run} is the first run of {pipeline}; name the run to compare it with")]
    FirstRun { run: String, pipeline: String },
    #[error("the run {run} of {pipeline} has no stage `{what}`, and there is no file of that name{}", meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    UnknownResult { what: String, run: String, pipeline: String, meant: Option<String> },
    #[error("{stage} gave no result in that run")]
    NoResult { stage: StagePath },
    #[error("the result of {stage} in that run is no longer in the cache")]
    ResultGone { stage: StagePath },
    #[error("{what} has nothing that can be shown: no evaluation, history, mean, images, features or model")]
    NothingToShow { what: String },
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Ui(#[from] UiError),
    #[error(transparent)]
    Predict(#[from] PredictError),
    #[error(transparent)]
    Tensorboard(#[from] TensorboardError),
    #[error("`{what}` is the model of {}; name one of them", found.join(", "))]
    SeveralModels { what: String, found: Vec<String> },
    #[error("{path} is no manifest that can be read", path = path.display())]
    NoManifest { path: PathBuf },
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    #[error("cannot listen for Ctrl-C: {0}")]
    Signal(#[from] ctrlc::Error),
}

/// Problems with a manifest as standard error shows them.
pub(super) fn in_place(problems: &ManifestErrors) -> String {
    if io::stderr().is_terminal() { format!("{}\n", problems.coloured()) } else { format!("{problems}\n") }
}

impl From<ProfileError> for CommandError {
    fn from(error: ProfileError) -> CommandError {
        match error {
            ProfileError::Invalid(errors) => CommandError::Manifest(errors),
            unknown @ ProfileError::Unknown { .. } => CommandError::Profile(unknown.to_string()),
        }
    }
}

impl CommandError {
    /// Writes the error and its hint, and says how to exit.
    pub(super) fn report(&self, out: &mut dyn Write) -> ExitCode {
        // Nobody is left to tell if standard error is closed.
        drop(writeln!(out, "{}", self.text()));
        self.exit_code()
    }

    /// The error and its hint, as standard error shows them.
    pub(super) fn text(&self) -> String {
        let text = match self {
            // Manifest errors bring their own form, with the lines that they are about.
            CommandError::Manifest(errors) => in_place(errors).trim_end().to_owned(),
            other => format!("error: {other}"),
        };
        self.hint().map_or(text.clone(), |hint| format!("{text}\nhint: {hint}"))
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            CommandError::Cache(_) => Some("`--state-dir FOLDER` puts the cache elsewhere"),
            CommandError::NoCache { .. } => Some("go to a folder of the project, or name its cache with `--state-dir FOLDER`"),
            CommandError::Reference(_) | CommandError::UnknownPipeline { .. } => {
                Some("a run is an id or the beginning of one, a name, `last` or `last~1`; `packtrain history` lists the runs")
            }
            CommandError::NameTaken { .. } => Some("choose another name, or take it away from that run with `packtrain name RUN --remove`"),
            CommandError::StillRunning { .. } => Some("`packtrain run MANIFEST --name NAME --tag TAG` gives them when the run begins"),
            CommandError::Lock(LockError::Missing { .. } | LockError::Malformed { .. }) => {
                Some("`packtrain run MANIFEST`, then `packtrain lock MANIFEST` writes one of what is there")
            }
            CommandError::Lock(LockError::Different(_)) => {
                Some("to accept what is there now, run without `--locked` and then `packtrain lock MANIFEST`")
            }
            CommandError::NoRemote(_) => Some("name one with `--remote PLACE`, with PACKTRAIN_REMOTE, or as `remote:` in a profile"),
            CommandError::ResultGone { .. }
            | CommandError::Bundle(BundleError::Gone { .. })
            | CommandError::Predict(PredictError::Gone { .. }) => Some("run it again; a run with a name keeps its results"),
            CommandError::Bundle(BundleError::NoManifest { .. }) => Some("run its manifest again: what is up to date is reused"),
            CommandError::Bundle(BundleError::Refused { .. }) => Some("nothing of it was taken; get it again from where it comes from"),
            CommandError::Bundle(BundleError::ManifestThere { .. }) => Some("name another folder after the bundle's file"),
            CommandError::Ui(UiError::Listen { .. }) => Some("without `--port`, packtrain takes one that is free"),
            CommandError::Worker(WorkerError::Start { .. }) => Some("`make build` builds both programs"),
            _ => None,
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            CommandError::Predict(error) => predict_exit_code(error),
            CommandError::Lock(LockError::Different(_)) => ExitCode::Different,
            CommandError::Lock(LockError::Missing { .. } | LockError::Malformed { .. }) => ExitCode::InvalidManifest,
            CommandError::Lock(LockError::Unsettled { .. }) => ExitCode::StageFailed,
            CommandError::Lock(LockError::Io { .. } | LockError::Plan(_)) => ExitCode::Storage,
            CommandError::Manifest(_) | CommandError::NoManifest { .. } => ExitCode::InvalidManifest,
            CommandError::Remote(RemoteError::Interrupted) => ExitCode::Interrupted,
            CommandError::UnknownStage { .. }
            | CommandError::RemoteLocation(_)
            | CommandError::NoRemote(_)
            | CommandError::NothingChosen { .. }
            | CommandError::Selection(_)
            | CommandError::Profile(_)
            | CommandError::New(_)
            | CommandError::Reference(_)
            | CommandError::NameTaken { .. }
            | CommandError::StillRunning { .. }
            | CommandError::Column(_)
            | CommandError::NoEqualEpoch
            | CommandError::FirstRun { .. }
            | CommandError::UnknownResult { .. }
            | CommandError::NoResult { .. }
            | CommandError::NothingToShow { .. }
            | CommandError::SeveralModels { .. }
            | CommandError::UnknownPipeline { .. }
            | CommandError::DifferentGraphs { .. } => ExitCode::Usage,
            CommandError::Plan(_)
            | CommandError::Cache(_)
            | CommandError::Remote(_)
            | CommandError::NoCache { .. }
            | CommandError::ResultGone { .. }
            | CommandError::Bundle(_)
            | CommandError::Artifact(_)
            | CommandError::Tensorboard(_)
            | CommandError::Ui(_)
            | CommandError::Output(_)
            | CommandError::Signal(_) => ExitCode::Storage,
            CommandError::Check { source, .. } if source.is_interruption() => ExitCode::Interrupted,
            CommandError::Worker(_) | CommandError::Stage(_) | CommandError::Check { .. } => ExitCode::StageFailed,
        }
    }
}

fn predict_exit_code(error: &PredictError) -> ExitCode {
    match error {
        PredictError::Exec(error) if error.is_interruption() => ExitCode::Interrupted,
        PredictError::Stage(StageError::Interrupted) => ExitCode::Interrupted,
        PredictError::Exec(_) | PredictError::Stage(_) | PredictError::Silent { .. } => ExitCode::StageFailed,
        PredictError::Gone { .. }
        | PredictError::OtherWeights { .. }
        | PredictError::Parameters { .. }
        | PredictError::Io { .. }
        | PredictError::Artifact(_)
        | PredictError::Cache(_) => ExitCode::Storage,
        PredictError::NoModel { .. }
        | PredictError::NotOurs { .. }
        | PredictError::NoRule { .. }
        | PredictError::FeaturesOfFile { .. }
        | PredictError::UnknownFeatures { .. }
        | PredictError::NoWeights { .. }
        | PredictError::CropsOfFeatures { .. } => ExitCode::Usage,
    }
}
