//! The typed files that stages give to each other, and the pictures that they begin with.
//!
//! The only user of the `hdf5`, `image`, `plotters` and `safetensors` libraries. Knows nothing of stages, keys or where files lie.

mod checkpoint;
mod compare;
mod csv;
mod error;
mod evaluation;
mod features;
mod figure;
mod fit;
mod history;
mod images;
mod jpeg;
mod json;
mod mean;
mod model;
mod picture;
mod predicted;
mod resize;
mod rows;
mod tensors;

pub use checkpoint::{Checkpoint, Counters};
pub use compare::Distance;
pub use csv::write_csv;
pub use error::ArtifactError;
pub use evaluation::{ClassReport, Evaluation, OversampleEvaluation, Predictions, ranked_classes};
pub use features::{FeaturesFile, FeaturesWriter};
pub use fit::{Decode, Fit, PackRule};
pub use history::{History, HistoryEpoch};
pub use images::{ImagesFile, ImagesWriter};
pub use mean::{Mean, MeanImage};
pub use model::{InputSpec, ModelFile, ModelHeader, ModelOutline, ModelTensor};
pub use picture::{Picture, PictureError};
pub use predicted::{ClassProbabilities, PredictedRow};
pub use resize::{resize_area, resize_to_fill};
pub use rows::{RowLabels, hdf5_version};
