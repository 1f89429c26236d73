//! Runs beside each other: their parameters, metrics, trainings, inputs and machines.
//!
//! Works from run records and from what the cache still has of their results. Knows nothing of how a comparison is shown.

mod column;
mod diff;
mod filter;
mod nature;
mod row;
mod table;
mod trainings;

pub use column::{Column, ColumnError, MetricName};
pub use diff::{Differing, MetricDiff, RunDiff, RunSide, StageDiff, StageTimes, diff};
pub use filter::{Filter, FilterError};
pub use nature::Nature;
pub use row::{Cell, Row, add_stage_params, distinct, rows};
pub use table::{Comparison, Order};
pub use trainings::{AtEpoch, Trainings};
