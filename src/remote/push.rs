//! Giving results to a remote: objects first, each read and compared with its digest on the way, then the record.
//!
//! What is there stays there: of two results with one key, made by two people, the first counts. A push that is cut off leaves objects
//! that the next one finds; a record is only there with all that it names.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use memmap2::Mmap;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use serde::Serialize;

use crate::cache::{ActionRecord, Cache, CheckpointRecord, ObjectState, Pins, Stay};
use crate::key::{ContentHasher, Digest, TrajectoryKey};
use crate::remote::error::Trouble;
use crate::remote::{FILES, Remote, RemoteError, RemoteLocation, Watch, fetch, layout, link};

/// What to give.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// States of trainings besides.
    pub checkpoints: Vec<TrajectoryKey>,
    /// Sends what is there already, too, because it may be damaged there.
    pub anew: bool,
}

/// What a push did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    pub results: u64,
    /// Results that were there already.
    pub results_known: u64,
    /// Results of which something is lost or damaged here.
    pub results_lost: u64,
    pub checkpoints: u64,
    pub checkpoints_known: u64,
    pub objects: u64,
    /// Objects of new results that were there already.
    pub objects_known: u64,
    /// Of the objects that were sent.
    pub bytes: u64,
}

/// Whoever writes to a file writes more often.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// Files from this size on are sent in parts, so that no more of them is in memory.
const PART: usize = 16 << 20;

/// A push under way.
struct Push<'a> {
    store: &'a dyn ObjectStore,
    cache: &'a Cache,
    anew: bool,
    location: &'a RemoteLocation,
    /// Objects that were sent or found.
    done: Mutex<BTreeSet<Digest>>,
    pushed: Mutex<Pushed>,
    watch: Watch<'a>,
}

impl Remote {
    /// Gives results. Collections may go on meanwhile and leave them.
    pub fn push(
        &self,
        records: &[ActionRecord],
        options: &PushOptions,
        (cache, stay): (&Cache, &Stay<'_>),
        watch: &Watch<'_>,
    ) -> Result<Pushed, RemoteError> {
        if let RemoteLocation::Folder(path) = self.location() {
            link::make_folder(path).map_err(|error| self.failed(error.to_string()))?;
        }
        let link = self.link()?;
        let push = Push {
            store: &*link.store,
            cache,
            anew: options.anew,
            location: self.location(),
            done: Mutex::default(),
            pushed: Mutex::default(),
            watch: *watch,
        };
        let pins = Pins::of_results(records).with_states(&options.checkpoints);
        let all = async {
            stream::iter(records).map(|record| push.result(record)).buffer_unordered(FILES).try_collect::<()>().await?;
            stream::iter(&options.checkpoints).map(|key| push.checkpoint(key)).buffer_unordered(FILES).try_collect::<()>().await
        };
        stay.away(&pins, || link.wait(all))?.map_err(|trouble| self.error(trouble))?;
        Ok(push.pushed.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Push<'_> {
    async fn result(&self, record: &ActionRecord) -> Result<(), Trouble> {
        if !self.anew && self.has_result(record).await? {
            (self.watch.progress)(record.outputs.values().map(|file| file.size).sum());
            self.count(|pushed| pushed.results_known += 1);
            return Ok(());
        }
        let mut record = record.clone();
        self.drop_lost_lists(&mut record)?;
        for (digest, size) in record.objects() {
            if !self.object(&digest, size).await? {
                self.count(|pushed| pushed.results_lost += 1);
                return Ok(());
            }
        }
        let text =
            record.to_sealed().map_err(|error| Trouble::Here(RemoteError::Io { path: "the record".into(), source: error.into() }))?;
        self.put(&layout::action(&record.fingerprint.key()), text.into()).await?;
        self.count(|pushed| pushed.results += 1);
        Ok(())
    }

    async fn checkpoint(&self, key: &TrajectoryKey) -> Result<(), Trouble> {
        let Some(record) = self.cache.checkpoint(key).map_err(here)? else { return Ok(()) };
        if !self.anew && self.has_checkpoint(key).await? {
            self.count(|pushed| pushed.checkpoints_known += 1);
            return Ok(());
        }
        if self.object(&record.object, None).await? {
            let text = record.to_sealed(key);
            let text = text.map_err(|error| Trouble::Here(RemoteError::Io { path: "the record".into(), source: error.into() }))?;
            self.put(&layout::checkpoint(key), text.into()).await?;
            self.count(|pushed| pushed.checkpoints += 1);
        }
        Ok(())
    }

    /// Whether the remote has a result for the key, this or another one, with all its objects.
    async fn has_result(&self, record: &ActionRecord) -> Result<bool, Trouble> {
        match fetch::action(self.store, &record.fingerprint.key(), &self.watch).await {
            Ok(there) => self.has_all(there.objects().collect()).await,
            Err(Trouble::Missing | Trouble::Damaged(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn has_checkpoint(&self, key: &TrajectoryKey) -> Result<bool, Trouble> {
        match fetch::checkpoint(self.store, key, &self.watch).await {
            Ok(CheckpointRecord { object, .. }) => self.has_all(vec![(object, None)]).await,
            Err(Trouble::Missing | Trouble::Damaged(_)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    async fn has_all(&self, objects: Vec<(Digest, Option<u64>)>) -> Result<bool, Trouble> {
        for (digest, size) in objects {
            if !self.has_object(&digest, size).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an object is there, as far as its size tells.
    async fn has_object(&self, digest: &Digest, size: Option<u64>) -> Result<bool, Trouble> {
        match self.watch.answer(self.store.head(&layout::object(digest))).await {
            Ok(found) => Ok(size.is_none_or(|size| found.size == size)),
            Err(Trouble::Missing) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// A result is of use without the lists by which changes and rows are told.
    fn drop_lost_lists(&self, record: &mut ActionRecord) -> Result<(), Trouble> {
        let is_sound = |digest: &Digest| -> Result<bool, Trouble> {
            Ok(self.cache.store().state(digest, self.cache.memo()).map_err(here)? == ObjectState::Sound)
        };
        let mut kept = Vec::new();
        for digest in &record.listings {
            if is_sound(digest)? {
                kept.push(*digest);
            }
        }
        record.listings = kept;
        for (output, digest) in record.row_sources.clone() {
            if !is_sound(&digest)? {
                record.row_sources.remove(&output);
            }
        }
        Ok(())
    }

    /// Sends an object, unless it is there; whether it is there afterwards, and not lost here.
    async fn object(&self, digest: &Digest, size: Option<u64>) -> Result<bool, Trouble> {
        if self.done().contains(digest) {
            return Ok(true);
        }
        let path = self.cache.store().path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Trouble::Here(RemoteError::io(&path)(error))),
        };
        let length = file.metadata().map_err(|error| Trouble::Here(RemoteError::io(&path)(error)))?.len();
        if size.is_some_and(|size| size != length) {
            return Ok(false);
        }
        if !self.anew && self.has_object(digest, Some(length)).await? {
            (self.watch.progress)(length);
            self.count(|pushed| pushed.objects_known += 1);
        } else if self.send(digest, file, length).await? {
            self.count(|pushed| {
                pushed.objects += 1;
                pushed.bytes += length;
            });
        } else {
            return Ok(false);
        }
        self.done().insert(*digest);
        Ok(true)
    }

    /// Whether the content is what the digest says; else nothing is sent.
    async fn send(&self, digest: &Digest, mut file: File, length: u64) -> Result<bool, Trouble> {
        let to = layout::object(digest);
        if let RemoteLocation::Folder(root) = self.location {
            remove_leftovers(&root.join(to.to_string()));
        }
        // A plain HTTP server takes files only whole.
        if !matches!(self.location, RemoteLocation::Http(_)) && length > PART as u64 {
            let mut upload = self.watch.answer(self.store.put_multipart(&to)).await?;
            let sent = self.send_parts(&mut *upload, digest, &mut file).await;
            if !matches!(sent, Ok(true)) {
                // Whatever cannot be taken back is not to be seen.
                drop(tokio::time::timeout(crate::remote::patience::PATIENCE, upload.abort()).await);
            }
            return sent;
        }
        let content = content(&file).map_err(|error| self.unreadable(digest, error))?;
        if Digest::of_bytes(&content) != *digest {
            return Ok(false);
        }
        self.put(&to, content).await?;
        (self.watch.progress)(length);
        Ok(true)
    }

    async fn send_parts(&self, upload: &mut dyn MultipartUpload, digest: &Digest, file: &mut File) -> Result<bool, Trouble> {
        let mut hasher = ContentHasher::default();
        loop {
            let mut part = Vec::with_capacity(PART);
            file.by_ref().take(PART as u64).read_to_end(&mut part).map_err(|error| self.unreadable(digest, error))?;
            if part.is_empty() {
                break;
            }
            hasher.update(&part);
            let length = part.len() as u64;
            self.watch.taken(length, upload.put_part(PutPayload::from(part))).await?;
            (self.watch.progress)(length);
        }
        if hasher.finish() != *digest {
            return Ok(false);
        }
        self.watch.taken(PART as u64, upload.complete()).await?;
        Ok(true)
    }

    async fn put(&self, to: &object_store::path::Path, content: Bytes) -> Result<(), Trouble> {
        let length = content.len() as u64;
        match self.watch.taken(length, self.store.put(to, PutPayload::from(content))).await {
            Ok(_) => Ok(()),
            Err(Trouble::Missing) => Err(Trouble::Failed("it takes no files at this place".to_owned())),
            Err(trouble) => Err(trouble),
        }
    }

    fn unreadable(&self, digest: &Digest, error: io::Error) -> Trouble {
        Trouble::Here(RemoteError::io(&self.cache.store().path(digest))(error))
    }

    fn count(&self, change: impl FnOnce(&mut Pushed)) {
        change(&mut self.pushed.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn done(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content of a file; a map spares that large ones are in memory as a whole.
fn content(file: &File) -> io::Result<Bytes> {
    #[expect(unsafe_code, reason = "a server that takes files only whole is to be given packed data sets too")]
    // SAFETY: objects of a store are read-only and are replaced as a whole, never written to.
    let map = unsafe { Mmap::map(file) }?;
    Ok(Bytes::from_owner(map))
}

/// Removes what a push that was killed left beside a file of a folder: `<file>#1`, `<file>#2` and so on, if nobody writes to it any more.
fn remove_leftovers(file: &Path) {
    for number in 1.. {
        let leftover = PathBuf::from(format!("{}#{number}", file.display()));
        let Ok(modified) = leftover.metadata().and_then(|metadata| metadata.modified()) else { return };
        if modified.elapsed().is_ok_and(|age| age > LEFTOVER_AGE) {
            // Another push may have removed it at the same time.
            drop(fs::remove_file(leftover));
        }
    }
}

fn here(error: crate::cache::CacheError) -> Trouble {
    Trouble::Here(error.into())
}
