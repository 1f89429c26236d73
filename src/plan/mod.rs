//! The graph of a pipeline's stages, and what a run would do with each.
//!
//! The only user of the graph library. Starts nothing and writes nothing but the digest memo.

mod decide;
mod draw;
mod estimate;
mod forecast;
mod graph;
mod identity;
mod inputs;
mod reuse;
mod row_images;
mod selection;
mod settled;
mod trajectory;

pub use decide::{Decision, decide, fingerprint};
pub use draw::{GraphFormat, draw};
pub use estimate::Experience;
pub use forecast::{Forecast, Outlook, forecast, wanted_keys};
pub use graph::{Plan, upstream};
pub use inputs::{GatheredInputs, PlanError, gather, gather_by};
pub use reuse::ReusableRows;
pub use row_images::RowImages;
pub use selection::Selection;
pub use settled::{Settled, Settlement, settle};
pub use trajectory::{RateChange, TrainingStart, Trajectory};
