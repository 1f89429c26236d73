//! `packtrain completions`, and the answers to a shell that completes a command line: manifests, stages, parameters, variants and
//! profiles, read from the manifest that the line names; and runs, read from their records.
//!
//! The shell asks by starting packtrain again with [`VARIABLE`] set and the words typed so far.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use clap_complete::env::Shells;

use crate::cache::{Cache, Project};
use crate::cli::error::CommandError;
use crate::cli::{Cli, ExitCode, profile};
use crate::manifest::{Outline, Profile};
use crate::record::{LAST, RunHead, Runs};
use crate::report;

/// Set by the script that [`run`] prints; names the shell.
const VARIABLE: &str = "PACKTRAIN_COMPLETE";
/// No more files of a folder are read to see whether they are manifests.
const MOST_READ: usize = 500;
/// No more variants are offered: nobody picks one of more from a list.
const MOST_VARIANTS: usize = 100;
/// No more runs are offered by their ids.
const MOST_RUNS: usize = 50;

/// Print the script with which a shell completes command lines
///
/// It completes manifests, stages, parameters, variants, profiles and runs too.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<ExitCode, CommandError> {
    let name = args.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let shells = Shells::builtins();
    let shell = shells.completer(&name).ok_or_else(|| io::Error::other(format!("there are no completions for {name}")))?;
    let program = std::env::current_exe()?;
    shell.write_registration(VARIABLE, "packtrain", "packtrain", &program.to_string_lossy(), &mut io::stdout().lock())?;
    Ok(ExitCode::Success)
}

/// Answers a shell if it is one that asks; an error is one of clap's.
pub(super) fn answer(arguments: &[OsString]) -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(Cli::command).var(VARIABLE).try_complete(arguments, current().as_deref())
}

/// Completes the path of a manifest: folders, and YAML files that are manifests.
pub(super) fn manifests() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| manifests_at(typed).unwrap_or_default())
}

/// Completes the name of a stage of the manifest on the line.
pub(super) fn stages() -> ArgValueCandidates {
    candidates(|manifest| manifest.stages.into_iter().map(|(name, kind)| described(name, kind)).collect())
}

/// Completes `name=` of the manifest's parameters.
pub(super) fn params() -> ArgValueCandidates {
    candidates(|manifest| {
        let params = manifest.params.into_iter();
        params.map(|(name, value)| described(format!("{name}="), Some(format!("{value} in the manifest")))).collect()
    })
}

/// Completes a setting of one parameter of the matrix, or those of a whole variant.
pub(super) fn variants() -> ArgValueCandidates {
    candidates(|manifest| {
        let mut settings: Vec<&str> = manifest.variants.iter().flat_map(|variant| variant.split(',')).collect();
        settings.sort_unstable();
        settings.dedup();
        let whole = manifest.variants.iter().map(String::as_str).filter(|variant| variant.contains(','));
        settings.into_iter().chain(whole).take(MOST_VARIANTS).map(CompletionCandidate::new).collect()
    })
}

/// Completes the name of a profile of the project of the manifest on the line, else of the current folder, or of the user.
pub(super) fn profiles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let Some(current) = current() else { return Vec::new() };
        let manifest = manifest_on_line(&current).map(|path| crate::manifest::absolute(&path, &current));
        let folder = manifest.as_deref().and_then(Path::parent).unwrap_or(&current);
        Profile::names(&profile::files(folder, &current), &current).into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Completes a run of the project of the current folder: `last`, names, ids, the latest first.
pub(super) fn runs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let project = current().map(|current| Project::of(&current, None));
        let runs = project.and_then(|project| Runs::read(&Cache::runs_of(&project.state)).ok()).unwrap_or_default();
        let last = runs.heads().first().map(|_| LAST.to_owned());
        let named = runs.heads().iter().filter_map(|head| Some((head.name.as_ref()?.to_string(), head)));
        let ids = runs.heads().iter().take(MOST_RUNS).map(|head| (head.id.clone(), head));
        let help = |head: &RunHead| Some(format!("{}, {}", head.pipeline, report::when(&head.started.to_string())));
        let runs = named.chain(ids).map(|(word, head)| described(word, help(head)));
        last.map(CompletionCandidate::new).into_iter().chain(runs).collect()
    })
}

fn candidates(of: fn(Outline) -> Vec<CompletionCandidate>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let current = current();
        let outline = current.and_then(|current| Outline::read(&manifest_on_line(&current)?, &current));
        outline.map(of).unwrap_or_default()
    })
}

fn described(value: String, help: Option<String>) -> CompletionCandidate {
    CompletionCandidate::new(value).help(help.map(Into::into))
}

/// The first word of the line that is a YAML file. The words follow `--`.
fn manifest_on_line(current: &Path) -> Option<PathBuf> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1).map(PathBuf::from);
    words.into_iter().find(|word| is_yaml(word) && current.join(word).is_file())
}

fn manifests_at(typed: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let (current, typed) = (current()?, typed.to_str()?);
    let (folder, start) = typed.rsplit_once('/').map_or(("", typed), |(folder, start)| (&typed[..=folder.len()], start));
    let entries = fs::read_dir(current.join(folder)).ok()?.filter_map(Result::ok).take(MOST_READ);
    let offered = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with(start))?;
        let path = format!("{folder}{name}");
        if current.join(&path).is_dir() {
            return (!name.starts_with('.')).then(|| CompletionCandidate::new(format!("{path}/")));
        }
        let outline = is_yaml(Path::new(&name)).then(|| Outline::read(Path::new(&path), &current))??;
        Some(described(path, outline.description))
    };
    let mut found: Vec<CompletionCandidate> = entries.filter_map(offered).collect();
    found.sort();
    Some(found)
}

/// Whether a path looks like that of a manifest.
pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn current() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "words on the command line are relative to the current folder")]
    std::env::current_dir().ok()
}
