//! What is kept and what goes, on records made up for it.

use std::fs::{self, File};

use super::*;
use crate::cache::fixture::{Fixture, fingerprint};
use crate::cache::{ActionRecord, Pins};
use crate::key::{Digest, TrajectoryKey};

const NOW: GcPolicy = GcPolicy { older_than: SignedDuration::ZERO, max_size: None, states: KeptStates::All };
const LATER: GcPolicy = GcPolicy { older_than: SignedDuration::from_hours(1), ..NOW };

impl Fixture {
    fn training(&self, states: &[TrajectoryKey]) -> ActionRecord {
        let record = ActionRecord { states: states.to_vec(), ..self.result("training") };
        self.cache.publish(&record).unwrap();
        record
    }

    fn head(&self, pipeline: &str, record: &ActionRecord) {
        let heads = BTreeMap::from([("s".parse().unwrap(), record.fingerprint.key())]);
        self.cache.set_heads(pipeline, &heads).unwrap();
    }

    fn state(&self, key: &TrajectoryKey, epoch: u32) {
        let file = self.folder.path().join("work/state");
        fs::write(&file, format!("state {epoch}")).unwrap();
        self.cache.keep_checkpoint(key, epoch, &file).unwrap();
    }

    fn collect(&self, policy: &GcPolicy) -> GcOutcome {
        self.collect_by(policy, &Uses::default())
    }

    fn collect_by(&self, policy: &GcPolicy, uses: &Uses) -> GcOutcome {
        self.cache.alone().unwrap().collect_garbage(policy, uses).unwrap()
    }

    /// Whether a result can be reused.
    fn has(&self, record: &ActionRecord) -> bool {
        let found = self.cache.action(&record.fingerprint.key()).unwrap();
        found.is_some_and(|found| self.cache.lost_output(&found).unwrap().is_none())
    }
}

fn trajectory(epochs: u32) -> Vec<TrajectoryKey> {
    let mut keys = vec![TrajectoryKey::start(&fingerprint("start"))];
    (0..epochs).for_each(|epoch| keys.push(keys[epoch as usize].after(0.1)));
    keys
}

#[test]
fn what_heads_of_pipelines_and_variants_name_is_kept_at_any_age() {
    let fixture = Fixture::new();
    let [first, variant, earlier] = ["first", "variant", "earlier"].map(|name| fixture.result(name));
    fixture.head("pipeline", &first);
    fixture.head("family/lr=0.1", &variant);
    assert_eq!(fixture.collect(&LATER).gone(), Amount::default());
    let outcome = fixture.collect(&NOW);
    assert_eq!(outcome.removed.keys().collect::<Vec<_>>(), [&Category::EarlierResults]);
    assert_eq!(outcome.gone().files, 2, "a record and its object");
    assert_eq!([&first, &variant, &earlier].map(|record| fixture.has(record)), [true, true, false]);
    assert_eq!(fixture.collect(&NOW).gone(), Amount::default());
}

#[test]
fn an_object_that_two_results_share_stays_while_one_of_them_does() {
    let fixture = Fixture::new();
    let kept = fixture.result("kept");
    let mut other = fixture.result("other");
    other.outputs.clone_from(&kept.outputs);
    fixture.cache.publish(&other).unwrap();
    fixture.head("pipeline", &kept);
    fixture.collect(&NOW);
    assert!(fixture.has(&kept) && !fixture.has(&other));
}

#[test]
fn a_use_by_a_run_makes_a_result_young_again() {
    let fixture = Fixture::new();
    let [used, unused] = ["used", "unused"].map(|name| fixture.result(name));
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    fixture.collect_by(&NOW, &Uses { last: BTreeMap::from([(used.fingerprint.key(), tomorrow)]), ..Uses::default() });
    assert_eq!([&used, &unused].map(|record| fixture.has(record)), [true, false]);
}

#[test]
fn the_results_of_a_run_with_a_name_stay_whatever_their_age_and_however_short_the_space() {
    let fixture = Fixture::new();
    let [named, other] = ["named", "other"].map(|name| fixture.result(name));
    let uses = Uses { named: BTreeSet::from([named.fingerprint.key()]), ..Uses::default() };
    let outcome = fixture.collect_by(&GcPolicy { max_size: Some(0), ..NOW }, &uses);
    assert_eq!([&named, &other].map(|record| fixture.has(record)), [true, false]);
    assert_eq!(outcome.kept[&Category::NamedResults].files, 2);
}

#[test]
fn short_of_space_the_longest_unused_goes_first_and_heads_stay() {
    let fixture = Fixture::new();
    let records = ["c", "a", "b", "h"].map(|name| fixture.result(name));
    let [.., head] = &records;
    fixture.head("pipeline", head);
    let times = [3, 1, 2].map(|hours| Timestamp::now() + SignedDuration::from_hours(hours));
    let last = records.iter().map(|record| record.fingerprint.key()).zip(times).collect();
    let uses = Uses { last, ..Uses::default() };
    let left = fixture.cache.alone().unwrap().find_garbage(&LATER, &uses).unwrap().left().bytes;
    let shrink = |bytes| fixture.collect_by(&GcPolicy { max_size: Some(bytes), ..LATER }, &uses);
    assert_eq!(shrink(left).gone().files, 0);
    assert_eq!(shrink(left - 1).gone().files, 2);
    assert_eq!([0, 1, 2, 3].map(|index| fixture.has(&records[index])), [true, false, true, true]);
    shrink(0);
    assert_eq!([0, 1, 2, 3].map(|index| fixture.has(&records[index])), [false, false, false, true]);
}

#[test]
fn checkpoints_stay_with_the_trainings_that_could_go_on_from_them() {
    let keys = trajectory(6);
    let there = |fixture: &Fixture| [2, 4, 6].map(|epoch| fixture.cache.checkpoint(&keys[epoch]).unwrap().is_some());
    for (states, expected) in
        [(KeptStates::All, [true, true, false]), (KeptStates::Last, [false, true, false]), (KeptStates::None, [false; 3])]
    {
        let fixture = Fixture::new();
        [2, 4, 6].into_iter().for_each(|epoch| fixture.state(&keys[epoch as usize], epoch));
        fixture.head("pipeline", &fixture.training(&keys[..5]));
        assert_eq!(fixture.collect(&LATER).gone(), Amount::default(), "the state after epoch 6 is of a training without a result");
        fixture.collect(&GcPolicy { states, ..NOW });
        assert_eq!(there(&fixture), expected, "{states:?}");
    }
}

#[test]
fn what_a_run_that_is_away_comes_back_to_is_kept() {
    let fixture = Fixture::new();
    let keys = trajectory(2);
    let [used, unused] = ["used", "unused"].map(|name| fixture.result(name));
    fixture.state(&keys[1], 1);
    fixture.state(&keys[2], 2);
    let pins = Pins::of_results([&used]).with_states(&keys[1..2]);
    let stay = fixture.cache.stay().unwrap();
    stay.away(&pins, || fixture.collect(&NOW)).unwrap();
    drop(stay);
    assert_eq!([&used, &unused].map(|record| fixture.has(record)), [true, false]);
    let there = keys.iter().map(|key| fixture.cache.checkpoint(key).unwrap().is_some());
    assert_eq!(there.collect::<Vec<_>>(), [false, true, false]);
    fixture.collect(&NOW);
    assert!(!fixture.has(&used), "pins end with the stay");
}

#[test]
fn a_result_whose_record_was_not_published_is_kept_for_the_run_that_made_it() {
    let fixture = Fixture::new();
    let record = fixture.result("unstable");
    fs::remove_file(fixture.folder.path().join(format!("actions/{}.json", record.fingerprint.key()))).unwrap();
    let stay = fixture.cache.stay().unwrap();
    stay.away(&Pins::of_results([&record]), || fixture.collect(&NOW)).unwrap();
    assert_eq!(fixture.cache.lost_output(&record).unwrap(), None);
}

#[test]
fn cut_off_after_the_records_nothing_names_an_object_that_goes() {
    let fixture = Fixture::new();
    let [head, earlier] = ["head", "earlier"].map(|name| fixture.result(name));
    fixture.head("pipeline", &head);
    let garbage = Garbage::find(&fixture.cache, &NOW, &Uses::default()).unwrap();
    garbage.remove_records().unwrap();
    assert!(fixture.cache.action(&earlier.fingerprint.key()).unwrap().is_none());
    assert_eq!(fixture.cache.lost_output(&earlier).unwrap(), None, "its object is still there");
    let outcome = fixture.collect(&LATER);
    assert_eq!(outcome.removed, BTreeMap::from([(Category::UnnamedObjects, Amount { files: 1, bytes: 1022 })]));
    assert!(fixture.has(&head));
}

#[test]
fn a_damaged_record_goes_with_what_it_named() {
    let fixture = Fixture::new();
    let record = fixture.result("damaged");
    fixture.head("pipeline", &record);
    fs::write(fixture.folder.path().join(format!("actions/{}.json", record.fingerprint.key())), "{").unwrap();
    assert_eq!(fixture.collect(&LATER).gone().files, 2);
}

#[test]
fn what_dead_processes_left_is_swept_and_what_living_ones_have_is_not() {
    let fixture = Fixture::new();
    let work = fixture.cache.work_folder();
    let lock = fixture.cache.lock(&fingerprint("running").key(), "me", |_| {}).unwrap();
    fs::write(lock.scratch().join("half.h5"), "half").unwrap();
    for folder in ["locked-once", "without-lock"] {
        fs::create_dir(work.join(folder)).unwrap();
        fs::write(work.join(folder).join("half.h5"), "half").unwrap();
    }
    fs::write(work.join("locked-once.lock"), "").unwrap();
    fs::write(work.join("1-1.pins"), "").unwrap();
    let temporary = fixture.folder.path().join("actions/.tmpAbCdEf");
    fs::write(&temporary, "{").unwrap();
    fixture.collect(&LATER);
    assert!(temporary.exists(), "somebody may just be writing it");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    File::options().write(true).open(&temporary).unwrap().set_modified(long_ago).unwrap();
    fixture.collect(&LATER);
    let left: Vec<PathBuf> = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 2, "the lock and the scratch folder of the running action: {left:?}");
    assert!(lock.scratch().join("half.h5").exists() && !temporary.exists());
}

#[test]
fn unused_listings_of_archives_go_and_records_of_runs_stay() {
    let fixture = Fixture::new();
    for name in ["listings", "runs"] {
        fs::create_dir_all(fixture.folder.path().join(name)).unwrap();
    }
    fs::write(fixture.folder.path().join("listings").join(Digest::of_bytes(b"").to_string()), "x").unwrap();
    fs::write(fixture.folder.path().join("runs/1.json"), "{}").unwrap();
    fs::write(fixture.folder.path().join("runs/2.events"), "{}").unwrap();
    let outcome = fixture.collect(&NOW);
    assert_eq!(outcome.removed, BTreeMap::from([(Category::Listings, Amount { files: 1, bytes: 1 })]));
    assert_eq!(outcome.kept[&Category::RunRecords].files, 2);
}
