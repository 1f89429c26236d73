//! Projects to measure runs on: five stages over many images, or many small stages.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use packtrain::record::StageState;

use crate::bench::{Bench, last_run, packtrain};
use crate::error::BenchError;
use crate::images::{Drawn, image};
use crate::measure::{self, Cost};

/// A folder with a manifest that was run.
pub struct Project {
    folder: PathBuf,
    drawn: Drawn,
}

const MANIFEST: &str = "bench.yaml";

/// The images of a project lie there.
pub const IMAGES: &str = "images";

impl Project {
    /// Five stages in a row, the first over `count` images.
    pub fn with_images(bench: &Bench, count: usize) -> Result<Project, BenchError> {
        let project = Project::open(bench, &format!("images-{count}"))?;
        project.drawn.write_tree(&project.path(IMAGES), count)?;
        let mut manifest = format!(
            "name: bench\nstages:\n  pack: {{ kind: pack, images: {IMAGES}, labels: parent-dir, size: 16, split: {{ val: 0.1, test: 0.1 }} }}\n  \
             mean: {{ kind: compute-mean, images: pack.train }}\n"
        );
        for (stage, from) in [("first", "mean"), ("second", "first"), ("third", "second")] {
            manifest += &copying(stage, from);
        }
        project.run_first(&manifest)
    }

    /// `count` commands in a row.
    pub fn with_stages(bench: &Bench, count: usize) -> Result<Project, BenchError> {
        let project = Project::open(bench, &format!("stages-{count}"))?;
        project.write("in.txt", "hello\n")?;
        let mut manifest = "name: bench\nstages:\n".to_owned() + &copying("s0000", "{ file: in.txt }");
        for index in 1..count {
            manifest += &copying(&format!("s{index:04}"), &format!("s{:04}", index - 1));
        }
        project.run_first(&manifest)
    }

    fn open(bench: &Bench, name: &str) -> Result<Project, BenchError> {
        let folder = bench.path(name);
        // Its own root, whatever lies above it.
        let state = folder.join(".packtrain");
        fs::create_dir_all(&state).map_err(BenchError::at(&state))?;
        Ok(Project { folder, drawn: Drawn::new(&bench.path("drawn"))? })
    }

    /// Runs what is to be run, and waits until no file is so young that its identity says nothing.
    fn run_first(self, manifest: &str) -> Result<Project, BenchError> {
        self.write(MANIFEST, manifest)?;
        measure::run(&mut self.command())?;
        thread::sleep(Duration::from_millis(100));
        measure::run(&mut self.command())?;
        Ok(self)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, content: &str) -> Result<(), BenchError> {
        let path = self.path(name);
        fs::write(&path, content).map_err(BenchError::at(&path))
    }

    /// Removes a file or a folder that may be there.
    pub fn remove(&self, name: &str) -> Result<(), BenchError> {
        let path = self.path(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(BenchError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Gives the first image a content that it never had.
    pub fn change_an_image(&self) -> Result<(), BenchError> {
        let path = image(&self.path(IMAGES), 0);
        let since_start = fs::read_dir(self.runs()).map_err(BenchError::at(&path))?.count() as u64;
        self.drawn.write(&path, (u64::from(std::process::id()) << 32) + since_start)
    }

    /// Runs again; an error if anything had to be done.
    pub fn rerun(&self, threads: usize) -> Result<Cost, BenchError> {
        let cost = measure::run(self.command().env("RAYON_NUM_THREADS", threads.to_string()))?;
        let record = last_run(&self.runs())?;
        match record.stages.iter().find(|stage| stage.state != StageState::Reused) {
            Some(stage) => Err(BenchError::Unexpected(format!("{} was not reused: {:?}", stage.stage, stage.changes))),
            None => Ok(cost),
        }
    }

    /// Runs after a change; what it took beside the work of the stages, which run one after the other.
    pub fn run_changed(&self) -> Result<f64, BenchError> {
        let cost = measure::run(&mut self.command())?;
        let record = last_run(&self.runs())?;
        let ran = record.stages.iter().filter(|stage| stage.state == StageState::Finished);
        let work: Vec<f64> = ran.map(|stage| stage.seconds).collect();
        if work.is_empty() {
            return Err(BenchError::Unexpected("an image was changed and nothing ran".to_owned()));
        }
        Ok(cost.seconds - work.iter().sum::<f64>())
    }

    fn command(&self) -> Command {
        packtrain(&self.folder, &["run", MANIFEST])
    }

    fn runs(&self) -> PathBuf {
        self.folder.join(".packtrain").join("runs")
    }
}

/// A stage that copies what another one gives.
fn copying(stage: &str, from: &str) -> String {
    format!(
        "  {stage}: {{ kind: command, run: [cp, '{{inputs.from}}', '{{outputs.to}}'], inputs: {{ from: {from} }}, \
         outputs: {{ to: {{ file: {stage}.txt }} }} }}\n"
    )
}
