//! The messages between the coordinator and a worker: one JSON object a line.
//!
//! The coordinator starts a worker for one job: it reads [`FromWorker::Hello`], writes [`ToWorker::Job`], then reads events
//! until [`FromWorker::Done`] or [`FromWorker::Failed`]. A line that is no message is a log line of some library. The
//! worker ends itself when its standard input closes: the coordinator is gone.

use serde::{Deserialize, Serialize};

use crate::event::StageEvent;
use crate::stage::{StageJob, StageOutput};

/// Raised when a message changes so that the other side would misread it.
pub const PROTOCOL_VERSION: u32 = 2;

/// What the coordinator writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
pub enum ToWorker {
    Job {
        job: Box<StageJob>,
    },
    /// Stop as soon as possible, with [`FromWorker::Failed`].
    Cancel,
}

/// What the worker writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "kebab-case")]
pub enum FromWorker {
    Hello(Hello),
    Event { event: StageEvent },
    Done { output: StageOutput },
    Failed { error: String, interrupted: bool },
}

/// Who the worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    /// packtrain's version.
    pub version: String,
    pub libtorch: String,
    /// Such as `cpu` and `cuda:0`.
    pub devices: Vec<String>,
}
