//! A cache elsewhere, which several people or machines share: results are pushed to it, and taken from it instead of being made.
//!
//! The only module that knows object stores and their runtime. Knows nothing of pipelines or of what a stage does. What comes from a
//! remote is believed only as far as its digest, or its seal, proves it: a damaged object or record is a miss. Nothing is asked and no
//! thread is started before something is wanted of it.

mod download;
mod error;
mod fetch;
mod heal;
mod layout;
mod link;
mod location;
mod patience;
mod push;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;

use crate::cache::ActionRecord;
use crate::key::ActionKey;
use crate::remote::error::Trouble;
use crate::remote::link::Link;

pub use error::RemoteError;
pub use fetch::{Destination, Fetch, Fetched};
pub use location::{LocationError, RemoteLocation};
pub use patience::Watch;
pub use push::{PushOptions, Pushed};

/// A remote cache. Shared between threads.
#[derive(Debug)]
pub struct Remote {
    location: RemoteLocation,
    link: OnceLock<Result<Link, String>>,
    is_given_up: AtomicBool,
}

/// Requests at once.
const REQUESTS: usize = 16;

/// Files at once.
const FILES: usize = 8;

impl Remote {
    /// A remote that nothing is asked of yet.
    pub fn new(location: RemoteLocation) -> Remote {
        Remote { location, link: OnceLock::new(), is_given_up: AtomicBool::new(false) }
    }

    /// Where it is, without anything secret.
    pub fn location(&self) -> &RemoteLocation {
        &self.location
    }

    /// After a failure it need not be asked again. Whether that was not known yet.
    pub fn give_up(&self) -> bool {
        !self.is_given_up.swap(true, Ordering::SeqCst)
    }

    /// Whether it has failed before.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::SeqCst)
    }

    /// The record of a result, if there is one that is sound. Of its objects nothing is known yet.
    pub fn action(&self, key: &ActionKey, watch: &Watch<'_>) -> Result<Option<ActionRecord>, RemoteError> {
        let link = self.link()?;
        match link.wait(fetch::action(&*link.store, key, watch)) {
            Ok(record) => Ok(Some(record)),
            Err(Trouble::Missing | Trouble::Damaged(_)) => Ok(None),
            Err(trouble) => Err(self.error(trouble)),
        }
    }

    /// Which of the results it has.
    pub fn has(&self, keys: &BTreeSet<ActionKey>, watch: &Watch<'_>) -> Result<BTreeSet<ActionKey>, RemoteError> {
        let link = self.link()?;
        let ask = |key: ActionKey| async move {
            let path = layout::action(&key);
            match watch.answer(link.store.head(&path)).await {
                Ok(_) => Ok(Some(key)),
                Err(Trouble::Missing) => Ok(None),
                Err(trouble) => Err(trouble),
            }
        };
        let asked = stream::iter(keys.iter().copied()).map(ask).buffer_unordered(REQUESTS);
        let found: Result<Vec<Option<ActionKey>>, Trouble> = link.wait(asked.try_collect());
        Ok(found.map_err(|trouble| self.error(trouble))?.into_iter().flatten().collect())
    }

    fn link(&self) -> Result<&Link, RemoteError> {
        let link = self.link.get_or_init(|| Link::new(&self.location));
        link.as_ref().map_err(|reason| self.failed(reason.clone()))
    }

    fn failed(&self, reason: String) -> RemoteError {
        RemoteError::Failed { remote: self.location.to_string(), reason }
    }

    fn error(&self, trouble: Trouble) -> RemoteError {
        match trouble {
            Trouble::Missing => self.failed("something that it names is not there".to_owned()),
            Trouble::Damaged(reason) | Trouble::Failed(reason) => self.failed(reason),
            Trouble::Here(error) => error,
        }
    }
}

impl Drop for Remote {
    /// Whatever hangs is left behind.
    fn drop(&mut self) {
        if let Some(Ok(link)) = self.link.take() {
            link.runtime.shutdown_background();
        }
    }
}
