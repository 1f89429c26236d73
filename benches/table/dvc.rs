//! DVC over the same files: five stages in a row, of which the first depends on the folder of images.

use std::path::PathBuf;
use std::process::Command;

use crate::bench::Bench;
use crate::error::BenchError;
use crate::measure;
use crate::projects::{IMAGES, Project};

/// A DVC project in the folder of ours.
pub struct Dvc {
    program: PathBuf,
    folder: PathBuf,
}

const PACKAGE: &str = "dvc==3.67.1";

/// What DVC keeps outside the project, put into it.
const SITE: &str = ".dvc/site";

impl Dvc {
    /// Runs all stages once; `None` if peers are not wanted.
    pub fn of(project: &Project, bench: &Bench) -> Result<Option<Dvc>, BenchError> {
        let Some(python) = bench.peers.interpreter(&[PACKAGE])? else { return Ok(None) };
        let dvc = Dvc { program: python.with_file_name("dvc"), folder: project.path("") };
        if !dvc.folder.join(".dvc").is_dir() {
            dvc.run(&["init", "--no-scm", "--quiet"])?;
            dvc.run(&["config", "core.check_update", "false"])?;
        }
        project.write("in.txt", "hello\n")?;
        project.write("dvc.yaml", &stages())?;
        dvc.repro()?;
        Ok(Some(dvc))
    }

    /// Seconds of `dvc repro`.
    pub fn repro(&self) -> Result<f64, BenchError> {
        self.run(&["repro"])
    }

    /// Forgets which files DVC has seen.
    pub fn forget(project: &Project) -> Result<(), BenchError> {
        [".dvc/tmp", SITE].into_iter().try_for_each(|name| project.remove(name))
    }

    fn run(&self, arguments: &[&str]) -> Result<f64, BenchError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).env("DVC_NO_ANALYTICS", "1").env("DVC_SITE_CACHE_DIR", self.folder.join(SITE));
        Ok(measure::run(&mut command)?.seconds)
    }
}

fn stages() -> String {
    let mut text = "stages:\n".to_owned();
    for index in 0..5 {
        let (from, more) =
            if index == 0 { ("in.txt".to_owned(), format!(", {IMAGES}")) } else { (format!("o{}.txt", index - 1), String::new()) };
        text += &format!("  s{index}:\n    cmd: cat {from} > o{index}.txt\n    deps: [{from}{more}]\n    outs: [o{index}.txt]\n");
    }
    text
}
