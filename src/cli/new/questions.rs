//! The few questions that `packtrain new` asks, each a line with a default in brackets.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cli::error::CommandError;
use crate::cli::new::Goal;
use crate::cli::new::proposal::{Proposal, Work};
use crate::cli::new::weights::Weights;
use crate::survey::Survey;

/// Someone to ask.
pub(super) struct Questions<'a> {
    pub from: &'a mut dyn BufRead,
    pub to: &'a mut dyn Write,
}

impl Questions<'_> {
    /// Lets the user change what is proposed, and where it is written.
    pub(super) fn ask(&mut self, proposal: &mut Proposal, survey: &Survey, output: &mut PathBuf) -> Result<(), CommandError> {
        if !matches!(proposal.work, Work::PackOnly(_)) {
            self.goal(proposal, survey)?;
        }
        if let Work::Train(training) = &mut proposal.work {
            let epochs = self.value("How many epochs?", training.epochs.value)?;
            if epochs != training.epochs.value {
                training.epochs.value = epochs;
                training.epochs.why = "As you said.".to_owned();
            }
        }
        *output = self.value("Which manifest to write?", output.display().to_string())?.into();
        Ok(())
    }

    fn goal(&mut self, proposal: &mut Proposal, survey: &Survey) -> Result<(), CommandError> {
        let (default, known) = match &proposal.work {
            Work::Features(weights) => (Goal::Features, Some(weights.file.clone())),
            _ => (Goal::Train, None),
        };
        let goal = self.value("Train a network, or classify features of pretrained weights (train, features)?", default)?;
        if goal == default {
            return Ok(());
        }
        let weights = match goal {
            Goal::Train => None,
            Goal::Features => Some(self.weights(known.as_deref())?),
        };
        *proposal = Proposal::new(survey, weights);
        Ok(())
    }

    fn weights(&mut self, default: Option<&Path>) -> Result<Weights, CommandError> {
        loop {
            let default = default.map(|file| file.display().to_string()).unwrap_or_default();
            let file: String = self.value("Where are the weights (safetensors with torchvision's names)?", default)?;
            match Weights::of(Path::new(&file)) {
                Ok(weights) => return Ok(weights),
                Err(error) => writeln!(self.to, "{error}")?,
            }
        }
    }

    /// Asks until the answer can be read; an empty one is the default.
    fn value<T: FromStr + ToString>(&mut self, question: &str, default: T) -> io::Result<T> {
        loop {
            write!(self.to, "{question} [{}] ", default.to_string())?;
            self.to.flush()?;
            let mut line = String::new();
            if self.from.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no answer came"));
            }
            match line.trim() {
                "" => return Ok(default),
                answer => match answer.parse() {
                    Ok(value) => return Ok(value),
                    Err(_) => writeln!(self.to, "`{answer}` is no answer to that")?,
                },
            }
        }
    }
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Goal, String> {
        clap::ValueEnum::from_str(text, true)
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Goal::Train => "train",
            Goal::Features => "features",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stage::Labels;
    use crate::survey::{Layout, Sizes, Source};

    fn survey() -> Survey {
        let source = Source { part: None, folder: String::new(), labels: Labels::ParentDir, images: 200 };
        Survey {
            layout: Layout { sources: vec![source], class_names: None, left_out: Vec::new() },
            classes: BTreeMap::from([("cat".to_owned(), 100), ("dog".to_owned(), 100)]),
            sizes: Some(Sizes { median: 64, smallest: (64, 64), largest: (64, 64) }),
            opened: 200,
            odd: Vec::new(),
        }
    }

    /// The proposal and the manifest's name after these answers, and what was asked.
    fn after(answers: &str) -> (Result<(Proposal, PathBuf), String>, String) {
        let (survey, mut asked, mut output) = (survey(), Vec::new(), PathBuf::from("pets.yaml"));
        let mut proposal = Proposal::new(&survey, None);
        let result = Questions { from: &mut answers.as_bytes(), to: &mut asked }.ask(&mut proposal, &survey, &mut output);
        (result.map(|()| (proposal, output)).map_err(|error| error.to_string()), String::from_utf8(asked).unwrap())
    }

    #[test]
    fn empty_answers_are_the_defaults() {
        let (result, asked) = after("\n\n\n");
        assert_eq!(result, Ok((Proposal::new(&survey(), None), PathBuf::from("pets.yaml"))));
        let questions = "Train a network, or classify features of pretrained weights (train, features)? [train] \
                         How many epochs? [60] Which manifest to write? [pets.yaml] ";
        assert_eq!(asked, questions);
    }

    #[test]
    fn an_answer_replaces_the_default_and_what_is_none_is_asked_again() {
        let (result, asked) = after("train\nmany\n7\nother.yaml\n");
        let (proposal, output) = result.unwrap();
        let Work::Train(training) = proposal.work else { panic!("{proposal:?}") };
        assert_eq!((training.epochs.value, output), (7, PathBuf::from("other.yaml")));
        assert!(asked.contains("`many` is no answer to that\nHow many epochs? [60] "), "{asked}");
    }

    #[test]
    fn weights_that_cannot_be_read_are_asked_for_again_until_there_is_no_answer() {
        let (result, asked) = after("features\nnowhere.safetensors\n");
        assert_eq!(result.unwrap_err(), "cannot write: no answer came");
        assert!(asked.contains("nowhere.safetensors: "), "{asked}");
    }
}
