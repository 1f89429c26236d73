//! What is found and taken away beside a run, and how much a sample reads.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::cache::{ActionRecord, Cache, Pins, Provenance, StoredFile};
use crate::key::Fingerprint;

struct Fixture {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        Fixture { folder, cache }
    }

    fn object(&self, content: &str) -> Digest {
        let file = self.folder.path().join("new");
        fs::write(&file, content).unwrap();
        self.cache.store().insert(&file, self.cache.memo()).unwrap()
    }

    fn damage(&self, object: Digest) {
        let path = self.cache.store().path(&object);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, "another").unwrap();
    }

    /// A result with an object and a listing.
    fn result(&self, name: &str) -> ActionRecord {
        let file = StoredFile { file: "mean.json".into(), digest: self.object(name), size: name.len() as u64 };
        let provenance = Provenance {
            tool: String::new(),
            pipeline: "p".into(),
            stage: "s".parse().unwrap(),
            finished: String::new(),
            seconds: 0.0,
            effort: None,
        };
        let parameters = json!({ "name": name });
        let fingerprint = Fingerprint { kind: "compute-mean".into(), version: 1, parameters, inputs: BTreeMap::new(), seed: None };
        let mut record = ActionRecord::new(fingerprint, BTreeMap::from([("mean".to_owned(), file)]), provenance);
        record.listings = vec![self.object(&format!("listing of {name}"))];
        self.cache.publish(&record).unwrap();
        record
    }

    fn verify(&self, repair: bool) -> Verification {
        let objects = self.cache.read_objects(Sample(1.0), &|_, _| {}).unwrap();
        let alone = self.cache.alone().unwrap();
        let mut verification = alone.verify(&objects).unwrap();
        if repair {
            alone.repair(&mut verification).unwrap();
        }
        verification
    }

    fn has(&self, record: &ActionRecord) -> bool {
        self.cache.action(&record.fingerprint.key()).unwrap().is_some()
    }
}

#[test]
fn what_a_run_that_is_away_comes_back_to_is_left_and_told() {
    let fixture = Fixture::new();
    let [used, unused] = ["used", "unused"].map(|name| fixture.result(name));
    [&used, &unused].into_iter().for_each(|record| fixture.damage(record.outputs["mean"].digest));
    let stay = fixture.cache.stay().unwrap();
    let found = stay.away(&Pins::of_results([&used]), || fixture.verify(true)).unwrap();
    drop(stay);
    let mut fates: Vec<Fate> = found.problems.iter().map(|problem| problem.fate).collect();
    fates.sort_by_key(|fate| *fate == Fate::InUse);
    assert_eq!((fates, found.is_damaged()), (vec![Fate::Repaired, Fate::InUse], true));
    assert_eq!([&used, &unused].map(|record| fixture.has(record)), [true, false]);
    assert!(!fixture.verify(true).is_damaged());
    assert!(!fixture.has(&used) && fixture.verify(false).problems.is_empty());
}

#[test]
fn a_result_that_has_lost_only_its_listing_stays() {
    let fixture = Fixture::new();
    let record = fixture.result("used");
    fixture.damage(record.listings[0]);
    let found = fixture.verify(true);
    assert_eq!(found.lost_results().len(), 0);
    assert!(matches!(found.problems[0].concerns[..], [Concern { part: Part::Listing { .. }, is_latest: false, .. }]), "{found:?}");
    assert!(fixture.has(&record) && fixture.verify(false).problems.is_empty());
}

#[test]
fn a_record_that_says_another_size_than_its_object_has_is_damaged() {
    let fixture = Fixture::new();
    let mut record = fixture.result("used");
    record.outputs.values_mut().for_each(|file| file.size += 1);
    fixture.cache.publish(&record).unwrap();
    let key = record.fingerprint.key();
    assert_eq!(fixture.verify(true).problems[0].what, Damage::DamagedResult { key });
    assert!(!fixture.has(&record));
}

#[test]
fn a_file_under_a_name_that_no_record_has_is_found_and_removed() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("actions/other.json");
    fs::write(&path, "{}").unwrap();
    assert_eq!(fixture.verify(true).problems[0].what, Damage::UnknownRecord);
    assert!(!path.exists());
}

#[test]
fn a_sample_reads_about_its_share_of_the_objects() {
    let fixture = Fixture::new();
    for number in 0..400 {
        fixture.object(&number.to_string());
    }
    let read = |share| fixture.cache.read_objects(Sample(share), &|_, _| {}).unwrap();
    let (all, none, quarter) = (read(1.0), read(0.0), read(0.25));
    assert_eq!([(all.objects, all.left_out), (none.objects, none.left_out)], [(400, 0), (0, 400)]);
    // Six standard deviations about the mean of 100.
    assert!((48..=152).contains(&quarter.objects) && quarter.objects + quarter.left_out == 400, "{quarter:?}");
}
