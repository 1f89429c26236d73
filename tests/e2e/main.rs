//! The built programs, used as a user does: write a manifest, run, look at what is there.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is how a test fails; tests start programs"
)]

mod browser;
mod bundles;
mod caching;
mod check;
mod chromium;
mod command;
mod comparing;
mod completions;
mod gc;
mod going_on;
mod harness;
mod incremental;
#[cfg(feature = "torch")]
mod incremental_features;
mod lock;
mod new;
#[cfg(feature = "torch")]
mod predicting;
mod profiles;
#[cfg(feature = "torch")]
mod python;
mod readme;
mod remote;
mod report;
mod runs;
#[cfg(feature = "torch")]
mod seen;
mod selecting;
#[cfg(feature = "torch")]
mod side_by_side;
mod sources;
#[cfg(feature = "torch")]
mod tensorboard;
#[cfg(feature = "torch")]
mod training;
#[cfg(feature = "torch")]
mod trajectory;
mod ui;
mod variants;
mod verify;
mod watch;
