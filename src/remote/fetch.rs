//! Taking results and states of trainings into a cache: objects first, each with the right digest, then the record.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;

use crate::cache::{ActionRecord, Cache, CheckpointRecord, ObjectState, Pins, Stay};
use crate::key::{ActionKey, Digest, TrajectoryKey};
use crate::remote::error::Trouble;
use crate::remote::{FILES, REQUESTS, Remote, RemoteError, Watch, download, layout};

/// What a remote had for a key.
#[derive(Debug)]
pub enum Fetch {
    /// Its result, which is in the cache now.
    Taken(Box<Fetched>),
    Missing,
    /// Something that cannot be used, and why.
    Damaged(String),
}

/// A result that came from a remote.
#[derive(Debug)]
pub struct Fetched {
    pub record: ActionRecord,
    /// Those that were not here.
    pub objects: u64,
    /// Of these objects.
    pub bytes: u64,
}

/// Where things from a remote go to.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    pub cache: &'a Cache,
    pub stay: &'a Stay<'a>,
    /// Where files arrive: an empty folder on the store's file system.
    pub scratch: &'a Path,
}

/// What is to come, by digest, with the sizes that are known.
type Wanted = BTreeMap<Digest, Option<u64>>;

impl Remote {
    /// Takes a result into the cache. `begins` is told how many bytes are to come as soon as that is known.
    pub fn fetch(
        &self,
        key: &ActionKey,
        to: &Destination<'_>,
        begins: &mut dyn FnMut(u64),
        watch: &Watch<'_>,
    ) -> Result<Fetch, RemoteError> {
        let Destination { cache, stay, scratch } = *to;
        let link = self.link()?;
        let record = match stay.away(&Pins::default(), || link.wait(action(&*link.store, key, watch)))? {
            Ok(record) => record,
            Err(Trouble::Missing) => return Ok(Fetch::Missing),
            Err(Trouble::Damaged(reason)) => return Ok(Fetch::Damaged(reason)),
            Err(trouble) => return Err(self.error(trouble)),
        };
        let wanted = missing(&record, cache)?;
        begins(wanted.values().flatten().sum());
        let came = stay.away(&Pins::of_results([&record]), || self.download(&wanted, scratch, watch))?;
        let bytes = match came {
            Ok(bytes) => bytes,
            Err(Trouble::Damaged(reason)) => return Ok(Fetch::Damaged(reason)),
            Err(Trouble::Missing) => return Ok(Fetch::Damaged("it lacks an object of the result".to_owned())),
            Err(trouble) => return Err(self.error(trouble)),
        };
        for digest in wanted.keys() {
            cache.store().insert_as(*digest, &scratch.join(digest.to_string()), cache.memo())?;
        }
        if !missing(&record, cache)?.is_empty() {
            return Ok(Fetch::Damaged("an object of the result that was here was damaged meanwhile".to_owned()));
        }
        cache.publish(&record)?;
        Ok(Fetch::Taken(Box::new(Fetched { record, objects: wanted.len() as u64, bytes })))
    }

    /// Takes the latest state of a training that it has into the cache: one of `states`, of which the first is the latest.
    pub fn fetch_checkpoint(
        &self,
        states: &[TrajectoryKey],
        to: &Destination<'_>,
        watch: &Watch<'_>,
    ) -> Result<Option<CheckpointRecord>, RemoteError> {
        let Destination { cache, stay, scratch } = *to;
        let link = self.link()?;
        let ask = |key: TrajectoryKey| async move { (key, checkpoint(&*link.store, &key, watch).await) };
        let take = async {
            let mut asked = stream::iter(states.iter().copied()).map(ask).buffered(REQUESTS);
            while let Some((key, answer)) = asked.next().await {
                match answer {
                    Ok(record) => {
                        let to = scratch.join(record.object.to_string());
                        match download::object(&*link.store, (record.object, None), &to, watch).await {
                            Ok(_) => return Ok(Some((key, record, to))),
                            Err(Trouble::Missing | Trouble::Damaged(_)) => {}
                            Err(trouble) => return Err(trouble),
                        }
                    }
                    Err(Trouble::Missing | Trouble::Damaged(_)) => {}
                    Err(trouble) => return Err(trouble),
                }
            }
            Ok(None)
        };
        let found = stay.away(&Pins::default(), || link.wait(take))?.map_err(|trouble| self.error(trouble))?;
        let Some((key, record, file)) = found else { return Ok(None) };
        cache.store().insert_as(record.object, &file, cache.memo())?;
        cache.publish_checkpoint(&key, &record)?;
        Ok(Some(record))
    }

    /// Puts those of the objects that the remote has and that are sound there into a folder, each under its digest; tells which.
    pub fn salvage(&self, objects: &[Digest], folder: &Path, watch: &Watch<'_>) -> Result<Vec<Digest>, RemoteError> {
        let link = self.link()?;
        let take = |digest: Digest| async move {
            match download::object(&*link.store, (digest, None), &folder.join(digest.to_string()), watch).await {
                Ok(_) => Ok(Some(digest)),
                Err(Trouble::Missing | Trouble::Damaged(_)) => Ok(None),
                Err(trouble) => Err(trouble),
            }
        };
        let taken = stream::iter(objects.iter().copied()).map(take).buffer_unordered(FILES);
        let taken: Result<Vec<Option<Digest>>, Trouble> = link.wait(taken.try_collect());
        Ok(taken.map_err(|trouble| self.error(trouble))?.into_iter().flatten().collect())
    }

    /// Puts objects into a folder; gives the bytes of all.
    fn download(&self, wanted: &Wanted, folder: &Path, watch: &Watch<'_>) -> Result<u64, Trouble> {
        let link = self.link().map_err(Trouble::Here)?;
        let take = |(digest, size): (&Digest, &Option<u64>)| {
            let (wanted, to) = ((*digest, *size), folder.join(digest.to_string()));
            async move { download::object(&*link.store, wanted, &to, watch).await }
        };
        let taken = stream::iter(wanted).map(take).buffer_unordered(FILES);
        link.wait(taken.try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }))
    }
}

/// The record of a result. Names of files lead to where users find them, so that one which leads elsewhere is damage.
pub(super) async fn action(store: &dyn ObjectStore, key: &ActionKey, watch: &Watch<'_>) -> Result<ActionRecord, Trouble> {
    let text = download::record(store, &layout::action(key), watch).await?;
    let record = ActionRecord::from_sealed(key, &text).ok_or_else(|| Trouble::Damaged("its record of the result is damaged".to_owned()))?;
    match record.outputs.values().all(|output| stays_inside(&output.file)) {
        true => Ok(record),
        false => Err(Trouble::Damaged("its record of the result names files elsewhere".to_owned())),
    }
}

pub(super) async fn checkpoint(store: &dyn ObjectStore, key: &TrajectoryKey, watch: &Watch<'_>) -> Result<CheckpointRecord, Trouble> {
    let text = download::record(store, &layout::checkpoint(key), watch).await?;
    CheckpointRecord::from_sealed(key, &text).ok_or_else(|| Trouble::Damaged("its record of a checkpoint is damaged".to_owned()))
}

/// The objects of a record that are not here, or not sound.
fn missing(record: &ActionRecord, cache: &Cache) -> Result<Wanted, RemoteError> {
    let mut wanted = Wanted::new();
    for (digest, size) in record.objects() {
        if cache.store().state(&digest, cache.memo())? != ObjectState::Sound {
            let known = wanted.entry(digest).or_default();
            *known = known.or(size);
        }
    }
    Ok(wanted)
}

fn stays_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|part| matches!(part, Component::Normal(_)))
}
