//! What the rows share: the command line, the folder for their data, the program under measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use packtrain::record::RunRecord;

use crate::error::BenchError;
use crate::peers::Peers;
use crate::row::{Group, Row};

/// Measures packtrain beside its peers and prints one table
#[derive(Debug, Parser)]
pub struct BenchArgs {
    /// Only these rows; `scaling` stands for all that show how cost grows
    #[arg(long, value_delimiter = ',', value_name = "ROW,…")]
    rows: Vec<String>,
    /// Measure the peers too; their Python packages are installed under target/bench/
    #[arg(long)]
    peers: bool,
    /// JPEGs to pack, in place of drawn ones
    #[arg(long, value_name = "FOLDER")]
    photographs: Option<PathBuf>,
    /// Only name the rows
    #[arg(long)]
    pub list: bool,
    /// The Python that makes the peers' environment
    #[arg(long, default_value = "python3")]
    python: String,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where and with what rows are measured.
pub struct Bench {
    folder: PathBuf,
    pub peers: Peers,
    /// Those of the user, to be packed in place of drawn ones.
    pub photographs: Option<PathBuf>,
}

impl BenchArgs {
    /// The rows that are asked for, in the order of the table.
    pub fn chosen(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, BenchError> {
        let names = |row: &Row, name: &String| row.name == *name || row.group.name() == name;
        if let Some(name) = self.rows.iter().find(|name| !rows.iter().any(|row| names(row, name))) {
            return Err(BenchError::UnknownRow { name: name.clone() });
        }
        rows.retain(|row| match self.rows.is_empty() {
            true => self.list || row.group == Group::Standard,
            false => self.rows.iter().any(|name| names(row, name)),
        });
        Ok(rows)
    }
}

impl Bench {
    pub fn new(args: &BenchArgs) -> Result<Bench, BenchError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("bench");
        fs::create_dir_all(&folder).map_err(BenchError::at(&folder))?;
        let peers = Peers::new(&folder, &args.python, args.peers);
        Ok(Bench { peers, folder, photographs: args.photographs.clone() })
    }

    /// A place under `target/bench/`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The built `packtrain`, to be run in a folder that has its own cache, with nothing of the user's settings.
pub fn packtrain(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packtrain"));
    command.current_dir(folder).args(arguments).env("XDG_CONFIG_HOME", folder.join(".packtrain"));
    for variable in ["PACKTRAIN_STATE", "PACKTRAIN_PROFILE", "PACKTRAIN_WORKER"] {
        command.env_remove(variable);
    }
    command
}

/// The record of the latest run, in the folder of such records.
pub fn last_run(runs: &Path) -> Result<RunRecord, BenchError> {
    let entries = fs::read_dir(runs).map_err(BenchError::at(runs))?;
    let latest = entries.filter_map(|entry| Some(entry.ok()?.path())).max();
    let latest = latest.ok_or_else(|| BenchError::Unexpected("a run left no record".to_owned()))?;
    RunRecord::read(&latest).map_err(BenchError::at(&latest))
}
