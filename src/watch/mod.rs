//! What runs read from outside, and when it changes: for `run --watch`.
//!
//! The file system only tells that something may have happened; what did is told by content, through the cache's memo. Knows
//! nothing of running and of the terminal.

mod judge;
mod lookout;
mod notices;
mod sources;

pub use judge::{Judge, Verdict};
pub use lookout::Lookout;
pub use sources::Sources;
