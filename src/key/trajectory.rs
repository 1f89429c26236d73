//! The key of a training's state after some epochs.
//!
//! A training is a path: its state after an epoch depends on where it began and on what every epoch up to then was like,
//! not on how many are to follow. So the key of the state is a hash that every epoch is folded into, and two trainings
//! share their states up to the first epoch in which they differ.
//!
//! | what | in the key | why |
//! |---|---|---|
//! | kind, version, inputs, seed, every parameter but those below | at the start | they count in every epoch |
//! | the learning rate of each epoch | folded in, epoch by epoch | a later rate changes no earlier state |
//! | number of epochs, schedule, warm-up | no | they only say what the rates are, and how many |
//! | which checkpoints are kept | no | it changes no number |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::key::{Digest, Fingerprint, Hasher, ParseDigestError};

const DOMAIN: &str = "packtrain trajectory 1";

/// The name of a state of a training.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrajectoryKey(Digest);

impl TrajectoryKey {
    /// The state before the first epoch. `start` has no parameter that concerns only some epochs.
    pub fn start(start: &Fingerprint) -> TrajectoryKey {
        TrajectoryKey(Hasher::new(DOMAIN).field(start.key().to_string().as_bytes()).finish())
    }

    /// The state after one more epoch with this learning rate.
    pub fn after(self, learning_rate: f64) -> TrajectoryKey {
        TrajectoryKey(Hasher::new(DOMAIN).field(self.0.as_bytes()).field(&learning_rate.to_le_bytes()).finish())
    }
}

impl fmt::Display for TrajectoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for TrajectoryKey {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<TrajectoryKey, ParseDigestError> {
        text.parse().map(TrajectoryKey)
    }
}

impl fmt::Debug for TrajectoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrajectoryKey({})", self.0.short())
    }
}
