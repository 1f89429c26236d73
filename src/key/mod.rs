//! Digests of bytes, files and trees; action keys; and the reasons why two keys differ.
//!
//! Knows nothing of stages, manifests or where anything is stored.

mod change;
mod digest;
mod fingerprint;
mod id;
mod trajectory;
mod tree;

pub use change::{Change, Place};
pub use digest::{ContentHasher, Digest, DigestSet, Hasher, ParseDigestError};
pub use fingerprint::{ActionKey, Fingerprint};
pub use id::{StageId, StageIdError, StagePath, VariantName};
pub use trajectory::TrajectoryKey;
pub use tree::{Listing, ListingDiff, SourceFile};
