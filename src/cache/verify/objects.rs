//! Reading all objects, or a sample of them.

use std::collections::BTreeSet;
use std::io;

use rayon::prelude::*;

use crate::cache::identity::now;
use crate::cache::store::StoredObject;
use crate::cache::{Cache, CacheError};
use crate::key::Digest;

/// The share of the objects that is read, from 0 to 1; another one each time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample(pub f64);

/// What came of it.
#[derive(Debug, Default)]
pub struct ObjectsRead {
    pub(super) suspects: BTreeSet<Digest>,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    pub(super) left_out: u64,
}

impl Cache {
    /// Reads objects on all threads; runs may go on meanwhile. `progress` is told the bytes read and those that are to be read.
    pub fn read_objects(&self, sample: Sample, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<ObjectsRead, CacheError> {
        let all = self.store.all()?;
        let (chosen, others): (Vec<_>, Vec<_>) = all.into_iter().partition(sample.chooser());
        let bytes = chosen.iter().map(|object| object.size).sum();
        let suspects = chosen.par_iter().filter(|object| {
            let is_damaged = is_damaged(self, &object.digest);
            progress(object.size, bytes);
            is_damaged
        });
        let suspects = suspects.map(|object| object.digest).collect();
        Ok(ObjectsRead { suspects, objects: chosen.len() as u64, bytes, left_out: others.len() as u64 })
    }
}

/// Whether an object is there and its content is another one or cannot be read. Asks the disk, not the memo.
pub(super) fn is_damaged(cache: &Cache, digest: &Digest) -> bool {
    match Digest::of_file(&cache.store.path(digest)) {
        Ok(found) => found != *digest,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

impl Sample {
    /// Chooses by a hash of the time and the object.
    fn chooser(self) -> impl Fn(&StoredObject) -> bool {
        let start = now().to_le_bytes();
        move |object| {
            let hash = Digest::of_bytes(&[&start[..], object.digest.as_bytes()].concat());
            let (words, _) = hash.as_bytes().as_chunks::<8>();
            self.0 >= 1.0 || (u64::from_le_bytes(words[0]) as f64) < self.0 * u64::MAX as f64
        }
    }
}
