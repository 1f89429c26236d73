//! Putting in the place of what is damaged or missing in a cache what a remote has of it, byte by byte the same.

use std::collections::BTreeMap;

use crate::cache::{Cache, Damage, Problem};
use crate::key::{ActionKey, Digest, Fingerprint};
use crate::remote::{Destination, Remote, RemoteError, Watch};

impl Remote {
    /// Takes what it has of what these problems are about. Runs may go on meanwhile: an object with the right digest harms none.
    pub fn heal(&self, problems: &[Problem], cache: &Cache, watch: &Watch<'_>) -> Result<(), RemoteError> {
        // Its scratch folder is swept if this process dies.
        let lock = cache.lock(&scratch_key(), "packtrain cache verify", |_| {})?;
        let scratch = lock.scratch();
        let objects: Vec<Digest> = problems.iter().filter_map(|problem| object(problem.what)).collect();
        let salvaged = if objects.is_empty() { Vec::new() } else { self.salvage(&objects, scratch, watch)? };
        let stay = cache.stay()?;
        for digest in salvaged {
            cache.store().insert_as(digest, &scratch.join(digest.to_string()), cache.memo())?;
        }
        let to = Destination { cache, stay: &stay, scratch };
        for problem in problems {
            match problem.what {
                Damage::DamagedResult { key } => drop(self.fetch(&key, &to, &mut |_| {}, watch)?),
                Damage::DamagedCheckpoint { key } => drop(self.fetch_checkpoint(&[key], &to, watch)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn object(what: Damage) -> Option<Digest> {
    match what {
        Damage::DamagedObject { object } | Damage::MissingObject { object } => Some(object),
        _ => None,
    }
}

fn scratch_key() -> ActionKey {
    let parameters = serde_json::Value::Null;
    Fingerprint { kind: "repair".to_owned(), version: 1, parameters, inputs: BTreeMap::new(), seed: None }.key()
}
