//! Running a plan: decides, runs and publishes stage by stage, and tells all of it as events.
//!
//! Prints nothing and knows no reporter.

mod action;
mod capacity;
mod check;
mod checkpointing;
mod child;
mod command;
mod errand;
mod foresight;
mod guard;
mod publish;
mod scheduler;
mod stop;
mod worker;

pub use action::execute;
pub use check::{CheckOptions, CheckOutcome, CheckOutside, ComparedOutput, check};
pub use command::CommandError;
pub use guard::guard;
pub use scheduler::{ExecError, Outside, RunOptions, run};
pub use stop::Stop;
pub use worker::{WorkerError, worker_hello};
