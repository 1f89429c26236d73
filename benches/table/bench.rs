//! What the rows share: the command line, the folder for their data, the program under measurement.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use clap::{Parser, ValueEnum};
use packtrain::record::RunRecord;

use crate::error::BenchError;
use crate::peers::{Environment, Peers};
use crate::row::{Group, Row};

/// Measures packtrain beside its peers and prints one table
#[derive(Debug, Parser)]
pub struct BenchArgs {
    /// Only these rows, or all whose names begin so; `scaling` stands for all that show how cost grows
    #[arg(long, value_delimiter = ',', value_name = "ROW,…")]
    rows: Vec<String>,
    /// Measure the peers too; their Python packages are installed under target/bench/
    #[arg(long)]
    peers: bool,
    /// JPEGs to pack, in place of drawn ones
    #[arg(long, value_name = "FOLDER")]
    photographs: Option<PathBuf>,
    /// Rounds of a row at least
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=25))]
    rounds: u8,
    /// Only name the rows
    #[arg(long)]
    pub list: bool,
    /// The Python that makes the peers' environment
    #[arg(long, default_value = "python3")]
    python: String,
    /// An interpreter that has the peers' packages; nothing is installed then
    #[arg(long, value_name = "PYTHON")]
    peers_python: Option<PathBuf>,
    /// Where networks run
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// What cargo tells every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    Cpu,
    Cuda,
}

/// Where and with what rows are measured.
pub struct Bench {
    folder: PathBuf,
    pub device: Device,
    /// Of a row, at least.
    pub rounds: usize,
    pub peers: Peers,
    /// Those of the user, to be packed in place of drawn ones.
    pub photographs: Option<PathBuf>,
}

impl BenchArgs {
    /// The rows that are asked for, in the order of the table.
    pub fn chosen(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, BenchError> {
        let begins = |row: &Row, name: &str| row.group == Group::Standard && row.name.starts_with(&format!("{name}-"));
        let names = |row: &Row, name: &String| row.name == *name || row.group.name() == name || begins(row, name);
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
        let folder = BUNDLE.as_ref().map_or_else(|| project().join("target").join("bench"), |bundle| bundle.join("bench"));
        fs::create_dir_all(&folder).map_err(BenchError::at(&folder))?;
        let environment = match (&args.peers_python, args.peers) {
            (Some(python), _) => Environment::Given { python: python.clone() },
            (None, true) => Environment::Made { folder: folder.join("peers"), python: args.python.clone() },
            (None, false) => Environment::Unwanted,
        };
        let scripts = BUNDLE.clone().unwrap_or_else(|| project().join("benches").join("peers"));
        let (device, photographs) = (args.device, args.photographs.clone());
        let rounds = args.rounds.into();
        Ok(Bench { folder, device, rounds, peers: Peers { environment, scripts }, photographs })
    }

    /// A place under `target/bench/`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The folder that `scripts/gpu-bundle.sh` packed, if this program lies there: everything that is needed lies beside it.
static BUNDLE: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    folder.join("packtrain").is_file().then_some(folder)
});

/// Where the sources lie.
fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Device {
    /// As packtrain and PyTorch call it.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }

    /// How many things it takes to measure it, if so many do for a CPU.
    pub fn scaled(self, count: usize) -> usize {
        match self {
            Device::Cpu => count,
            Device::Cuda => 16 * count,
        }
    }
}

/// The built `packtrain`, to be run in a folder that has its own cache, with nothing of the user's settings.
pub fn packtrain(folder: &Path, arguments: &[&str]) -> Command {
    let beside = BUNDLE.as_ref().map(|bundle| bundle.join("packtrain"));
    let mut command = Command::new(beside.unwrap_or_else(|| env!("CARGO_BIN_EXE_packtrain").into()));
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
