//! A proposal as the text of a manifest, with the reason for every choice beside it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::new::proposal::{Proposal, Training, Work};
use crate::cli::new::summary;
use crate::cli::new::weights::Weights;
use crate::manifest::absolute;
use crate::stage::{Labels, Subset};
use crate::survey::{Source, Survey};

/// Where the manifest will lie, and what it is about.
pub(super) struct Place<'a> {
    pub name: &'a str,
    /// Absolute.
    pub folder: &'a Path,
    pub current: &'a Path,
    /// As the user named them, from the current folder.
    pub images: &'a Path,
}

/// The published rules for manifests, from a folder that has them.
const SCHEMA: &str = "schemas/pipeline.schema.json";

/// Bytes of a line of comment.
const WIDTH: usize = 100;

/// The whole text.
pub(super) fn text(proposal: &Proposal, survey: &Survey, place: &Place<'_>) -> String {
    let mut text = Text::default();
    if let Some(schema) = place.schema() {
        text.line(0, &format!("# yaml-language-server: $schema={schema}"));
    }
    text.line(0, &format!("# Proposed by `packtrain new` for {}:", place.images.display()));
    summary::facts(survey).iter().for_each(|fact| text.line(0, &format!("#   {fact}")));
    text.line(0, "# Change what you know better; `packtrain plan` says what that costs.");
    text.line(0, &format!("name: {}", quoted(place.name)));
    text.line(0, "# Decides what is held out and every other random choice.");
    text.line(0, "seed: 42");
    text.params(proposal, place);
    text.line(0, "stages:");
    text.pack(proposal, survey);
    match &proposal.work {
        Work::Train(training) => text.training(training, proposal, survey),
        Work::Features(weights) => text.features(weights, proposal, survey),
        Work::PackOnly(reason) => text.mean(reason),
    }
    text.0
}

impl Place<'_> {
    /// A file that the user named, from the manifest's folder if it lies below it or the manifest lies in the current folder.
    fn path(&self, given: &Path) -> String {
        let full = absolute(given, self.current);
        let short: PathBuf = match full.strip_prefix(self.folder) {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
            Ok(below) => below.to_owned(),
            Err(_) if self.folder == self.current => given.to_owned(),
            Err(_) => full,
        };
        // A manifest replaces `${…}`.
        quoted(&short.display().to_string().replace("${", "$${"))
    }

    fn schema(&self) -> Option<String> {
        let (up, _) = self.folder.ancestors().enumerate().find(|(_, folder)| folder.join(SCHEMA).is_file())?;
        Some(format!("{}{SCHEMA}", "../".repeat(up)))
    }
}

/// A manifest as far as it is written.
#[derive(Default)]
struct Text(String);

impl Text {
    /// A line, so many levels deep.
    fn line(&mut self, depth: usize, text: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A comment, in lines that an editor shows whole.
    fn why(&mut self, depth: usize, reason: &str) {
        let mut line = "#".to_owned();
        for word in reason.split(' ') {
            if line.len() > 1 && 2 * depth + line.len() + 1 + word.len() > WIDTH {
                self.line(depth, &line);
                line.truncate(1);
            }
            line = format!("{line} {word}");
        }
        self.line(depth, &line);
    }

    fn params(&mut self, proposal: &Proposal, place: &Place<'_>) {
        self.why(0, "What differs from run to run: `packtrain run MANIFEST -p NAME=VALUE`.");
        self.line(0, "params:");
        self.line(1, &format!("images: {}", place.path(place.images)));
        match &proposal.work {
            Work::Train(training) => {
                self.why(1, &training.epochs.why);
                self.line(1, &format!("epochs: {}", training.epochs.value));
                self.why(1, &training.batch.why);
                self.line(1, &format!("batch: {}", training.batch.value));
                self.why(1, "Adam's usual rate. If the loss jumps, try a third of it.");
                self.line(1, "lr: 1.0e-3");
            }
            Work::Features(weights) => self.line(1, &format!("weights: {}", place.path(&weights.file))),
            Work::PackOnly(_) => {}
        }
    }

    fn pack(&mut self, proposal: &Proposal, survey: &Survey) {
        self.line(1, "pack:");
        self.line(2, "kind: pack");
        match &survey.layout.sources[..] {
            [Source { part: None, folder, labels, .. }] => {
                self.line(2, &format!("images: {}", below_images(folder)));
                self.labels(2, labels);
                self.split(2, proposal);
            }
            sources => {
                self.why(2, "The parts as the folders have them.");
                self.line(2, "sources:");
                sources.iter().for_each(|source| self.source(source, proposal));
            }
        }
        if let Some(table) = &survey.layout.class_names {
            self.why(2, "Names for people instead of those of the folders.");
            self.line(2, &format!("class-names: {{ table: {} }}", below_images(table)));
        }
        self.why(2, &proposal.size.why);
        self.line(2, &format!("size: {}", proposal.size.value));
        if proposal.scaled {
            self.why(2, "Much smaller than the images, of which only a smaller scale is decoded: several times as fast.");
            self.line(2, "decode: scaled");
        }
        if proposal.skips {
            self.why(2, "Some images cannot be read: they are left out and listed, instead of ending the run.");
            self.line(2, "on-error: skip");
        }
    }

    fn source(&mut self, source: &Source, proposal: &Proposal) {
        let part = source.part.unwrap_or(Subset::Train);
        self.line(3, &format!("{}:", part.as_str()));
        self.line(4, &format!("images: {}", below_images(&source.folder)));
        self.labels(4, &source.labels);
        if part == Subset::Train {
            self.split(4, proposal);
        }
    }

    fn labels(&mut self, depth: usize, labels: &Labels) {
        let (reason, value) = match labels {
            Labels::ParentDir => ("One folder per class.", "parent-dir".to_owned()),
            Labels::Ancestor(levels) => {
                ("The folder that holds an image has no class's name; one above it does.", format!("{{ ancestor: {levels} }}"))
            }
            Labels::Filename(pattern) => {
                ("The first group of this regular expression is the class.", format!("{{ filename: {} }}", quoted(pattern)))
            }
            Labels::Table(table) => {
                let file = below_images(&table.file.display().to_string());
                let columns = format!("path-column: {}, label-column: {}", table.path_column, table.label_column);
                ("A table has the class of every image.", format!("{{ table: {{ file: {file}, {columns} }} }}"))
            }
        };
        self.why(depth, reason);
        self.line(depth, &format!("labels: {value}"));
    }

    fn split(&mut self, depth: usize, proposal: &Proposal) {
        let shares = proposal.split.value.iter().map(|(part, share)| format!("{}: {share}", part.as_str()));
        let shares = shares.collect::<Vec<_>>().join(", ");
        if !shares.is_empty() {
            self.why(depth, &proposal.split.why);
            self.line(depth, &format!("split: {{ {shares} }}"));
        }
    }

    fn mean(&mut self, reason: &str) {
        self.line(1, "mean:");
        self.why(2, reason);
        self.line(2, "kind: compute-mean");
        self.line(2, "images: pack.train");
    }

    fn training(&mut self, training: &Training, proposal: &Proposal, survey: &Survey) {
        self.mean("Subtracted from every image, so that the values lie around zero.");
        let crops = proposal.size.value > training.input;
        let view = if crops { "random-crop" } else { "resize" };
        self.line(1, "train:");
        self.line(2, "kind: train");
        self.line(2, "train: pack.train");
        self.line(2, "val: pack.val");
        self.line(2, "mean: mean");
        self.why(2, &training.network.why);
        self.line(2, &format!("model: {}", training.network.value));
        self.line(2, &format!("input: {{ size: {}, train: {view}, eval: resize }}", training.input));
        self.why(2, &training.augment.why);
        self.line(2, &format!("augment: {}", training.augment.value));
        self.line(2, "optimizer: { adam: { lr: \"${lr}\" } }");
        self.why(
            2,
            "The rate falls to zero along half a cosine; with another number of epochs every rate changes and the training starts anew.",
        );
        self.line(2, "schedule: cosine");
        self.line(2, "epochs: ${epochs}");
        self.line(2, "batch: ${batch}");
        self.why(2, "The model is the one of the epoch with the least loss on `val`.");
        self.line(2, "keep: best");
        self.line(1, "eval:");
        if crops {
            self.why(2, "The mean over ten crops of each image, beside the plain result.");
        }
        self.line(2, &format!("kind: {}", if crops { "oversample-eval" } else { "evaluate" }));
        self.line(2, &format!("images: pack.{}", proposal.held_out(survey).as_str()));
        self.line(2, "model: train");
    }

    fn features(&mut self, weights: &Weights, proposal: &Proposal, survey: &Survey) {
        let part = proposal.held_out(survey).as_str();
        self.line(1, "features:");
        self.line(2, "kind: extract-features");
        self.line(2, "train: pack.train");
        self.line(2, &format!("{part}: pack.{part}"));
        self.why(2, "Told by the names of the tensors.");
        self.line(2, &format!("network: {}", weights.network));
        self.line(2, "weights: { file: \"${weights}\" }");
        self.line(2, &format!("size: {}", proposal.size.value));
        self.line(1, "classifier:");
        self.line(2, "kind: train");
        self.line(2, "train: features.train");
        self.why(2, "The best of five penalties by three-fold cross-validation.");
        self.line(2, "model: logistic-regression");
        self.line(1, "eval:");
        self.line(2, "kind: evaluate");
        self.line(2, &format!("features: features.{part}"));
        self.line(2, "model: classifier");
    }
}

/// A path within the images.
fn below_images(path: &str) -> String {
    if path.is_empty() { "${images}".to_owned() } else { quoted(&format!("${{images}}/{}", path.replace("${", "$${"))) }
}

/// A text in quotes: JSON's are YAML's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
