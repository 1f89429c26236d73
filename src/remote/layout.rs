//! What lies where in a remote: the cache's own layout under a versioned prefix. Whoever changes the layout counts the version up, and
//! leaves what older versions read alone.
//!
//! | path | what |
//! |---|---|
//! | `packtrain-1/objects/ab/cdef…` | an object by its digest |
//! | `packtrain-1/actions/<key>.json` | a result's record, written after its objects |
//! | `packtrain-1/checkpoints/<key>.json` | the record of a state of a training, written after its object |

use object_store::path::Path;

use crate::key::{ActionKey, Digest, TrajectoryKey};

const PREFIX: &str = "packtrain-1";

pub(super) fn object(digest: &Digest) -> Path {
    let name = digest.to_string();
    let (folder, rest) = name.split_at(2);
    Path::from_iter([PREFIX, "objects", folder, rest])
}

pub(super) fn action(key: &ActionKey) -> Path {
    Path::from_iter([PREFIX, "actions", &format!("{key}.json")])
}

pub(super) fn checkpoint(key: &TrajectoryKey) -> Path {
    Path::from_iter([PREFIX, "checkpoints", &format!("{key}.json")])
}
