//! The machine that a run happened on.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::num::NonZero;
use std::thread::available_parallelism;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a machine is, as far as it may matter for times and for the last bits of numbers. The devices of networks, and libtorch's
/// version, stand with the stages that used them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnvironment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["Debian GNU/Linux 12 (bookworm)"]))]
    pub system: Option<String>,
    /// The version of Linux.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The processor's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// The cores that packtrain may use.
    pub cores: usize,
}

impl RunEnvironment {
    /// Of this machine; takes a fraction of a millisecond.
    pub fn here() -> RunEnvironment {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        RunEnvironment {
            system: system(),
            kernel: kernel.map(|release| release.trim().to_owned()),
            cpu: cpu(),
            cores: available_parallelism().map_or(1, NonZero::get),
        }
    }
}

fn system() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// The file is made core by core as it is read, so that no more is read than is needed.
fn cpu() -> Option<String> {
    let lines = BufReader::with_capacity(1 << 10, File::open("/proc/cpuinfo").ok()?).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("model name"))?;
    line.split_once(": ").map(|(_, model)| model.to_owned())
}
