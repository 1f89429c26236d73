//! YAML as written, with positions, resolved into a [`Pipeline`] that cannot be invalid.
//!
//! The only user of the YAML library. Knows nothing of the graph, the cache or of running anything.

mod pipeline;

pub use pipeline::{Pipeline, PipelineInput, PipelineInputSource, PipelineStage};
