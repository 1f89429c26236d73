//! How long an answer is waited for, and whether it is still wanted.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time;

use crate::remote::RemoteError;
use crate::remote::error::Trouble;

/// The longest silence: for an answer, or between two pieces of a file. A remote that hangs holds a run no longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Slower than this, an upload counts as hanging. Bytes per second.
const SLOWEST: u64 = 20_000;

const POLL: Duration = Duration::from_millis(50);

/// What a transfer looks at and tells while it goes on.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Set when the user asks to stop.
    pub cancelled: &'a AtomicBool,
    /// Told of bytes as they are transferred.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl Watch<'_> {
    /// Waits for an answer.
    pub(super) async fn answer<T>(&self, asked: impl Future<Output = object_store::Result<T>>) -> Result<T, Trouble> {
        self.within(PATIENCE, asked).await
    }

    /// Waits until so many bytes are taken.
    pub(super) async fn taken<T>(&self, bytes: u64, asked: impl Future<Output = object_store::Result<T>>) -> Result<T, Trouble> {
        self.within(PATIENCE + Duration::from_secs(bytes / SLOWEST), asked).await
    }

    /// An error if the user has asked to stop.
    pub(super) fn check(&self) -> Result<(), Trouble> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Trouble::Here(RemoteError::Interrupted)) } else { Ok(()) }
    }

    async fn within<T>(&self, limit: Duration, asked: impl Future<Output = object_store::Result<T>>) -> Result<T, Trouble> {
        tokio::select! {
            answer = time::timeout(limit, asked) => match answer {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(Trouble::Failed(format!("it did not answer within {} seconds", limit.as_secs()))),
            },
            () = self.stopped() => Err(Trouble::Here(RemoteError::Interrupted)),
        }
    }

    async fn stopped(&self) {
        while !self.cancelled.load(Ordering::Relaxed) {
            time::sleep(POLL).await;
        }
    }
}
