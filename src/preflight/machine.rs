//! What the machine has, as far as it is known beforehand whether a run will do with it.

use std::path::{Path, PathBuf};

use crate::stage::MemorySize;

/// The room that a run has.
#[derive(Debug, Clone)]
pub struct Machine {
    pub memory: MemorySize,
    /// The state folder, where results are written.
    pub state: PathBuf,
    /// Bytes that are free there; none if that is not to be known.
    pub free: Option<u64>,
}

impl Machine {
    /// This machine, for results in `state`, which need not be there yet.
    pub fn here(state: &Path) -> Machine {
        Machine { memory: machine_memory(), state: state.to_owned(), free: free_space(state) }
    }
}

/// What the machine has, or this process may take of it.
pub fn machine_memory() -> MemorySize {
    let number = |text: String| text.split_whitespace().find_map(|word| word.parse::<u64>().ok());
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find(|line| line.starts_with("MemTotal:")).map(str::to_owned).and_then(number);
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(number);
    MemorySize(total.map_or(u64::MAX, |kibibytes| kibibytes << 10).min(limit.unwrap_or(u64::MAX)))
}

/// Bytes that this user may still write in a folder, or where it will be.
fn free_space(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|ancestor| ancestor.exists())?;
    let space = rustix::fs::statvfs(existing).ok()?;
    Some(space.f_bavail * space.f_frsize)
}
