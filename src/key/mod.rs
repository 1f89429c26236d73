//! Digests of bytes, files and trees; action keys; and the reasons why two keys differ.
//!
//! Knows nothing of stages, manifests or where anything is stored.

mod digest;
mod id;

pub use digest::{Digest, Hasher, ParseDigestError};
pub use id::{StageId, StageIdError};
