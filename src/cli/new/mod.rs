//! `packtrain new`: looks at images and writes a manifest that is right for them.

mod manifest;
mod proposal;
mod questions;
mod summary;
mod weights;

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};

use clap::{Args, ValueEnum};
use thiserror::Error;

use crate::artifact::ArtifactError;
use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::cli::new::proposal::Proposal;
use crate::cli::new::questions::Questions;
use crate::manifest::absolute;
use crate::survey::{self, SurveyError};

/// Look at a folder of images and write a manifest that is right for them
///
/// Every choice is explained in a comment of the manifest. On a terminal a few questions are asked, each with a default.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// A folder of images, or an archive of them
    #[arg(value_name = "FOLDER")]
    images: PathBuf,
    /// What to do with them: train a network, or extract features with pretrained weights and classify these; by default train,
    /// or features if weights are given
    #[arg(long, value_enum)]
    goal: Option<Goal>,
    /// Pretrained weights as safetensors with torchvision's tensor names
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The manifest to write; by default the folder's name with .yaml, in the current folder
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite the manifest if it is there
    #[arg(long)]
    force: bool,
    /// Ask nothing and take every default
    #[arg(short, long)]
    yes: bool,
}

/// What the images are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Goal {
    Train,
    Features,
}

/// Why no manifest was written.
#[derive(Debug, Error)]
pub(in crate::cli) enum NewError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error("there is no terminal to ask on; `--yes` takes every default")]
    NoTerminal,
    #[error("{file} is there already; `--force` overwrites it, `--output FILE` writes another one", file = file.display())]
    Exists { file: PathBuf },
    #[error("features need pretrained weights; name them with `--weights FILE`")]
    NoWeights,
    #[error("{file} does not have the tensors of {networks}", file = file.display())]
    UnknownWeights { file: PathBuf, networks: String },
    #[error(transparent)]
    Weights(#[from] ArtifactError),
    #[error("{file}: {source}", file = file.display())]
    Write { file: PathBuf, source: io::Error },
}

pub(super) fn run(args: &NewArgs) -> Result<ExitCode, CommandError> {
    #[expect(clippy::disallowed_methods, reason = "paths on the command line are relative to the current folder")]
    let current = std::env::current_dir()?;
    let is_asked = !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    if !args.yes && !is_asked {
        return Err(NewError::NoTerminal.into());
    }
    let name = name_of(&absolute(&args.images, &current));
    let mut output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.yaml")));
    if !is_asked && !args.force && output.exists() {
        return Err(NewError::Exists { file: output }.into());
    }
    let survey = survey::look(&args.images).map_err(NewError::from)?;
    summary::write(&survey, &args.images, &mut io::stderr().lock())?;

    let mut proposal = Proposal::new(&survey, weights::proposed(args.goal, args.weights.as_deref(), is_asked)?);
    if is_asked {
        let (stdin, stderr) = (&mut io::stdin().lock(), &mut io::stderr().lock());
        Questions { from: stdin, to: stderr }.ask(&mut proposal, &survey, &mut output)?;
    }
    let folder = absolute(&output, &current).parent().unwrap_or(Path::new("/")).to_owned();
    let place = manifest::Place { name: &name, folder: &folder, current: &current, images: &args.images };
    write(&output, &manifest::text(&proposal, &survey, &place), args.force)?;
    writeln!(io::stdout(), "wrote {}", output.display())?;
    writeln!(io::stderr(), "`packtrain plan {0}` says what it would do, `packtrain run {0}` does it", output.display())?;
    Ok(ExitCode::Success)
}

/// Never follows on a file that is there, unless it is to be replaced.
fn write(file: &Path, text: &str, force: bool) -> Result<(), NewError> {
    let opened = if force { fs::File::create(file) } else { fs::File::create_new(file) };
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => NewError::Exists { file: file.to_owned() },
        _ => NewError::Write { file: file.to_owned(), source },
    })
}

/// What a pipeline for the images may be called: the name of their folder or archive, without what a name cannot have. A folder
/// that is only a part of a set, such as `train`, is named with the one above it.
fn name_of(images: &Path) -> String {
    let names: Vec<&str> =
        images.components().filter_map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect();
    let last = names.last().copied().unwrap_or("images");
    let stem = last.split_once('.').map_or(last, |(stem, _)| if images.is_dir() { last } else { stem });
    let name = match &names[..] {
        [.., above, _] if ["train", "training"].contains(&stem.to_lowercase().as_str()) => format!("{above}-{stem}"),
        _ => stem.to_owned(),
    };
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "images".to_owned() } else { name.to_owned() }
}
