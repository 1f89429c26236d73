//! A cache in a temporary folder, with results made up for it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use crate::cache::{ActionRecord, Cache, Provenance, StoredFile};
use crate::key::{Digest, Fingerprint};

pub(super) struct Fixture {
    pub folder: tempfile::TempDir,
    pub cache: Cache,
}

impl Fixture {
    pub fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        Fixture { folder, cache }
    }

    pub fn object(&self, content: &[u8]) -> Digest {
        let file = self.folder.path().join("new");
        fs::write(&file, content).unwrap();
        self.cache.store().insert(&file, self.cache.memo()).unwrap()
    }

    /// A result with one object of about a kilobyte.
    pub fn result(&self, name: &str) -> ActionRecord {
        let content = name.repeat(1024 / name.len());
        let file = StoredFile { file: "mean.json".into(), digest: self.object(content.as_bytes()), size: content.len() as u64 };
        let provenance = Provenance {
            tool: String::new(),
            pipeline: "p".into(),
            stage: "s".parse().unwrap(),
            finished: String::new(),
            seconds: 0.0,
            effort: None,
        };
        let record = ActionRecord::new(fingerprint(name), BTreeMap::from([("mean".to_owned(), file)]), provenance);
        self.cache.publish(&record).unwrap();
        record
    }
}

pub(super) fn fingerprint(name: &str) -> Fingerprint {
    Fingerprint { kind: "compute-mean".into(), version: 1, parameters: json!({ "name": name }), inputs: BTreeMap::new(), seed: None }
}
