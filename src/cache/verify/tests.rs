//! What is found and taken away beside a run, and how much a sample reads.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cache::fixture::Fixture;
use crate::cache::{ActionRecord, Pins};
use crate::key::Listing;
use crate::stage::RowSources;

impl Fixture {
    fn damage(&self, object: Digest) {
        let path = self.cache.store().path(&object);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, "another").unwrap();
    }

    /// A result with an object and a listing.
    fn listed(&self, name: &str) -> ActionRecord {
        let record = ActionRecord { listings: vec![self.object(format!("listing of {name}").as_bytes())], ..self.result(name) };
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

    fn knows(&self, record: &ActionRecord) -> bool {
        self.cache.action(&record.fingerprint.key()).unwrap().is_some()
    }
}

#[test]
fn what_a_run_that_is_away_comes_back_to_is_left_and_told() {
    let fixture = Fixture::new();
    let [used, unused] = ["used", "unused"].map(|name| fixture.listed(name));
    [&used, &unused].into_iter().for_each(|record| fixture.damage(record.outputs["mean"].digest));
    let stay = fixture.cache.stay().unwrap();
    let found = stay.away(&Pins::of_results([&used]), || fixture.verify(true)).unwrap();
    drop(stay);
    let mut fates: Vec<Fate> = found.problems.iter().map(|problem| problem.fate).collect();
    fates.sort_by_key(|fate| *fate == Fate::InUse);
    assert_eq!((fates, found.is_damaged()), (vec![Fate::Repaired, Fate::InUse], true));
    assert_eq!([&used, &unused].map(|record| fixture.knows(record)), [true, false]);
    assert!(!fixture.verify(true).is_damaged());
    assert!(!fixture.knows(&used) && fixture.verify(false).problems.is_empty());
}

#[test]
fn what_is_remembered_of_archives_and_of_packed_images_is_sound_until_it_is_changed() {
    let fixture = Fixture::new();
    let [archive, packed] = ["archive", "packed images"].map(|name| Digest::of_bytes(name.as_bytes()));
    fixture.cache.remember_packed_listing(&archive, &Listing::new(Vec::new())).unwrap();
    fixture.cache.remember_packed_rows(&packed, &RowSources(vec![archive])).unwrap();
    let sound = fixture.verify(false);
    assert_eq!((sound.problems.len(), sound.checked.records), (0, 2));
    let path = fixture.folder.path().join("listings").join(packed.to_string());
    fs::write(&path, fs::read_to_string(&path).unwrap().to_uppercase()).unwrap();
    assert_eq!(fixture.verify(true).problems.len(), 1);
    assert!(!fixture.verify(false).is_damaged() && !path.exists());
}

#[test]
fn a_result_that_has_lost_only_its_listing_stays() {
    let fixture = Fixture::new();
    let record = fixture.listed("used");
    fixture.damage(record.listings[0]);
    let found = fixture.verify(true);
    assert_eq!(found.lost_results().len(), 0);
    assert!(matches!(found.problems[0].concerns[..], [Concern { part: Part::Listing { .. }, is_latest: false, .. }]), "{found:?}");
    assert!(fixture.knows(&record) && fixture.verify(false).problems.is_empty());
}

#[test]
fn a_record_that_says_another_size_than_its_object_has_is_damaged() {
    let fixture = Fixture::new();
    let mut record = fixture.listed("used");
    record.outputs.values_mut().for_each(|file| file.size += 1);
    fixture.cache.publish(&record).unwrap();
    let key = record.fingerprint.key();
    assert_eq!(fixture.verify(true).problems[0].what, Damage::DamagedResult { key });
    assert!(!fixture.knows(&record));
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
        fixture.object(number.to_string().as_bytes());
    }
    let read = |share| fixture.cache.read_objects(Sample(share), &|_, _| {}).unwrap();
    let (all, none, quarter) = (read(1.0), read(0.0), read(0.25));
    assert_eq!([(all.objects, all.left_out), (none.objects, none.left_out)], [(400, 0), (0, 400)]);
    // Six standard deviations about the mean of 100.
    assert!((48..=152).contains(&quarter.objects) && quarter.objects + quarter.left_out == 400, "{quarter:?}");
}
