//! The peers' programs, in a Python environment.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::error::BenchError;
use crate::measure;
use crate::row::Side;

/// What peers run with.
pub struct Peers {
    pub environment: Environment,
    /// Where the scripts of `benches/peers/` lie.
    pub scripts: PathBuf,
}

/// Where their packages are.
pub enum Environment {
    /// Nowhere: they are not to be measured.
    Unwanted,
    /// In an environment of their own, made when it is needed.
    Made { folder: PathBuf, python: String },
    /// Where an interpreter has them, in whatever version.
    Given { python: PathBuf },
}

impl Peers {
    /// The interpreter of an environment that has these packages, each with its version; `None` if peers are not wanted. Their programs
    /// lie beside it.
    pub fn interpreter(&self, packages: &[&str]) -> Result<Option<PathBuf>, BenchError> {
        let (folder, python) = match &self.environment {
            Environment::Unwanted => return Ok(None),
            Environment::Given { python } => return Ok(Some(python.clone())),
            Environment::Made { folder, python } => (folder, python),
        };
        let own = folder.join("bin").join("python");
        if !own.exists() {
            measure::run(Command::new(python).args(["-m", "venv"]).arg(folder))?;
        }
        for package in packages {
            let installed = folder.join(format!("{package}.installed"));
            if !installed.exists() {
                measure::run(Command::new(&own).args(["-m", "pip", "install", "--quiet", package]))?;
                fs::write(&installed, "").map_err(BenchError::at(&installed))?;
            }
        }
        Ok(Some(own))
    }

    /// Where a script of `benches/peers/` lies.
    pub fn path_of(&self, file: &str) -> PathBuf {
        self.scripts.join(file)
    }

    /// A script of `benches/peers/` as a side; `None` if peers are not wanted. It is started once, prepares what it needs, and then, for
    /// every line that it is sent, does its work once and answers with a line that has the row's number.
    pub fn script(&self, name: &str, packages: &[&str], file: &str, arguments: &[&Path]) -> Result<Option<Side>, BenchError> {
        let Some(python) = self.interpreter(packages)? else { return Ok(None) };
        let mut command = Command::new(python);
        let child = command.arg(self.path_of(file)).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut script = Script::of(file, child.map_err(|source| BenchError::Start { command: file.to_owned(), source })?)?;
        let helper = Some(script.child.id());
        Ok(Some(Side { name: name.to_owned(), run: Box::new(move || script.once()), helper }))
    }
}

/// A script that waits for its next turn; ended when it is dropped.
struct Script {
    name: String,
    child: Child,
    turns: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    fn of(name: &str, mut child: Child) -> Result<Script, BenchError> {
        let (Some(turns), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Unexpected(format!("{name} has no pipes")));
        };
        Ok(Script { name: name.to_owned(), child, turns, answers: BufReader::new(answers) })
    }

    fn once(&mut self) -> Result<f64, BenchError> {
        let mut said = String::new();
        self.turns.write_all(b"go\n").and_then(|()| self.answers.read_line(&mut said)).map_err(BenchError::at(Path::new(&self.name)))?;
        said.trim().parse().map_err(|_| BenchError::NoNumber { program: self.name.clone(), said: said.trim().to_owned() })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
