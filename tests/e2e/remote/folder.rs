//! A folder as remote cache.

use std::fs;

use serde_json::Value;

use super::{
    ALL_RAN, ALL_REUSED, all_files, all_from_remote, assert_sound, broken_promises, flip_a_bit, giver, object, project, results, run,
    stages,
};
use crate::harness::Project;

/// The place of a remote that need not be there yet.
fn place(folder: &tempfile::TempDir) -> String {
    folder.path().join("remote").to_str().unwrap().to_owned()
}

#[test]
fn what_one_project_gave_spares_another_one_every_stage() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let giver = giver(&remote, &[]);
    let taker = project();
    let output = run(&taker, &remote);
    assert_eq!(stages(&output), all_from_remote(), "{}", output.stderr);
    assert!(output.stderr.contains("bulk  taking 2.9 MiB from the remote cache"), "{}", output.stderr);
    assert_eq!(results(&taker), results(&giver));
    assert_sound(&taker);
    assert_eq!(taker.run(&["small.yaml"]), ALL_REUSED);
    // The record tells it, and so does the report.
    let first = taker.packtrain(&["show", "mean", "--run", "last~1"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let mut records = all_files(&taker.path(".packtrain/runs")).into_iter().map(|path| fs::read_to_string(path).unwrap());
    let record: Value = serde_json::from_str(&records.find(|record| record.contains("from_remote")).unwrap()).unwrap();
    assert!(record["stages"][3]["from_remote"]["bytes"].as_u64().unwrap() > 3_000_000, "{}", record["stages"][3]);
    taker.packtrain(&["report", "last~1"]);
    assert!(String::from_utf8(taker.read("report.html")).unwrap().contains("from the remote"));

    let again = giver.packtrain(&["cache", "push", "--remote", &remote]);
    assert_eq!(again.stdout, format!("gave 0 results in 0 files, 0 B, to {remote}\n4 results were there already\n"));
    assert_eq!(broken_promises(&folder.path().join("remote/packtrain-1")), Vec::<String>::new());
}

#[test]
fn events_of_a_run_tell_what_came_from_the_remote() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    giver(&remote, &[]);
    let output = project().packtrain(&["run", "small.yaml", "--remote", &remote, "--json"]);
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reused: Vec<&Value> = events.iter().filter(|event| event["event"] == "stage-reused").collect();
    assert_eq!(reused.len(), 4);
    assert!(reused.iter().all(|event| event["from_remote"]["files"].as_u64() > Some(0)), "{reused:?}");
    assert!(events.iter().any(|event| event["event"] == "stage-fetching" && event["stage"] == "bulk"), "{}", output.stdout);
}

#[test]
fn a_damaged_object_is_refused_and_its_stage_runs() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let giver = giver(&remote, &[]);
    let root = folder.path().join("remote/packtrain-1");
    flip_a_bit(&object(&root, &giver.read("output/small/bulk/bulk.bin")));
    let taker = project();
    let output = run(&taker, &remote);
    assert_eq!(stages(&output), all_from_remote().replace("bulk reused from the remote", "bulk ran"));
    assert!(output.stderr.contains("bulk  warning: what the remote cache has is not used: the object "), "{}", output.stderr);
    assert_sound(&taker);

    // Its size tells nothing of it; it is sent anew when that is asked for.
    let pushed = giver.packtrain(&["cache", "push", "--remote", &remote, "--anew"]);
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    assert_eq!(stages(&run(&project(), &remote)), all_from_remote());
}

#[test]
fn a_damaged_record_and_a_lost_object_are_misses_that_a_push_makes_good() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let giver = giver(&remote, &[]);
    let root = folder.path().join("remote/packtrain-1");
    fs::remove_file(object(&root, &giver.read("output/small/stamp/out.txt"))).unwrap();
    for record in all_files(&root.join("actions")) {
        if fs::read_to_string(&record).unwrap().contains("\"bulk.bin\"") {
            flip_a_bit(&record);
        }
    }
    let output = run(&project(), &remote);
    let expected = "pack reused from the remote\nmean reused from the remote\nstamp ran\nbulk ran\n";
    assert_eq!(stages(&output), expected, "{}", output.stderr);
    let pushed = giver.packtrain(&["cache", "push", "--remote", &remote]);
    assert!(pushed.stdout.starts_with("gave 2 results in 1 file, "), "{}", pushed.stdout);
    assert_eq!(stages(&run(&project(), &remote)), all_from_remote());
}

#[test]
fn a_remote_that_is_not_there_is_told_once_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let remote = folder.path().join("not/mounted").to_str().unwrap().to_owned();
    let taker = project();
    let output = run(&taker, &remote);
    assert_eq!(output.stages(), ALL_RAN);
    let warning = format!("warning: the remote cache {remote}: there is no such folder; going on without it\n");
    assert_eq!(output.stderr.matches(&warning).count(), 1, "{}", output.stderr);
    assert_eq!(output.stderr.matches("warning").count(), 1, "{}", output.stderr);
    let pushed = taker.packtrain(&["cache", "push", "--remote", &remote]);
    assert!(pushed.code == 4 && !folder.path().join("not").exists(), "{}", pushed.stderr);
    let status = taker.packtrain(&["cache", "status", "--remote", &remote]);
    assert!(status.code == 0 && status.stderr.contains("there is no such folder"), "{}", status.stderr);
}

#[test]
fn a_forecast_asks_the_remote_only_if_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    giver(&remote, &[]);
    let taker = project();
    let plan = taker.packtrain(&["plan", "small.yaml", "--remote", &remote]);
    assert!(plan.stderr.contains("was not asked") && !plan.stdout.contains("be taken"), "{}{}", plan.stdout, plan.stderr);
    let plan = taker.packtrain(&["plan", "small.yaml", "--remote", &remote, "--ask-remote"]);
    assert_eq!((plan.code, plan.stdout.matches("be taken").count()), (0, 4), "{}{}", plan.stdout, plan.stderr);
    let explained = taker.packtrain(&["explain", "small.yaml", "bulk", "--remote", &remote, "--ask-remote"]);
    assert!(explained.stdout.starts_with("bulk (command) will be taken from the remote cache: 2.9 MiB.\n"), "{}", explained.stdout);
    assert!(all_files(&taker.path(".packtrain/objects")).is_empty());
}

#[test]
fn a_pull_takes_all_that_is_there_and_runs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let giver = giver(&remote, &[]);
    let taker = project();
    let pulled = taker.packtrain(&["cache", "pull", "small.yaml", "--remote", &remote]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
    assert!(pulled.stdout.starts_with("took 4 of 4 results, 2."), "{}", pulled.stdout);
    assert_eq!(results(&taker), results(&giver));
    assert_eq!(taker.run(&["small.yaml"]), ALL_REUSED);

    taker.edit("small.yaml", "size: 32", "size: 24");
    let pulled = taker.packtrain(&["cache", "pull", "small.yaml", "--remote", &remote]);
    assert_eq!(pulled.stdout, "took 0 of 4 results, 0 B; 0 were here already\nnot there: pack, mean, stamp and bulk\n");
    let status = taker.packtrain(&["cache", "status", "--remote", &remote]);
    assert!(status.stdout.contains(&format!("the remote cache {remote} has 4 of 4 results\n")), "{}", status.stdout);
}

#[test]
fn a_manifest_a_run_or_all_of_the_cache_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let project = project();
    project.run(&["small.yaml", "--name", "first"]);
    project.edit("small.yaml", "size: 32", "size: 24");
    // The pictures are of one colour each, so that the mean stays what it is.
    assert_eq!(project.run(&["small.yaml"]), "pack ran\nmean ran\nstamp reused\nbulk reused\n");
    let push = |what: &[&str]| {
        let output = project.packtrain(&[&["cache", "push", "--remote", &remote], what].concat());
        assert_eq!(output.code, 0, "{}", output.stderr);
        output.stdout.lines().map(|line| line.split(" in ").next().unwrap().to_owned()).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(push(&["first"]), "gave 4 results");
    assert_eq!(push(&["small.yaml"]), "gave 2 results; 2 results were there already");
    assert_eq!(push(&["--all"]), "gave 0 results; 6 results were there already");
    let status = project.packtrain(&["cache", "status", "--remote", &remote, "--json"]);
    let told: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&told["remote"]["results-there"], &told["remote"]["bytes-only-here"]), (&6.into(), &0.into()));
}

#[test]
fn a_locked_run_takes_from_the_remote_too() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    let giver = giver(&remote, &[]);
    assert_eq!(giver.packtrain(&["lock", "small.yaml"]).code, 0);
    let taker = project();
    fs::copy(giver.path("small.lock"), taker.path("small.lock")).unwrap();
    // `stamp` never gives the same twice: only its result from the remote is as locked.
    let output = taker.packtrain(&["run", "small.yaml", "--locked", "--remote", &remote]);
    assert_eq!((output.code, stages(&output)), (0, all_from_remote()), "{}", output.stderr);
}

#[test]
fn what_is_not_chosen_to_run_or_needs_too_much_is_taken_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let remote = place(&folder);
    giver(&remote, &[]);
    let taker = project();
    taker.edit("small.yaml", "    inputs: { out: stamp.out }", "    inputs: { out: stamp.out }\n    needs: { memory: 900 TiB }");
    let output = taker.packtrain(&["run", "small.yaml", "--only", "bulk", "--remote", &remote]);
    assert_eq!((output.code, stages(&output).lines().last()), (0, Some("bulk reused from the remote")), "{}", output.stderr);
}

#[test]
fn a_profile_names_the_remote_and_the_command_line_counts_more() {
    let folder = tempfile::tempdir().unwrap();
    giver(&place(&folder), &[]);
    let with_profile = || -> Project {
        let taker = project();
        fs::rename(folder.path().join("remote"), taker.path("shared")).unwrap();
        taker.write("packtrain-profiles.yaml", "team: { remote: shared }\n");
        taker
    };
    let taker = with_profile();
    assert_eq!(taker.run(&["small.yaml", "--profile", "team", "--remote", "none", "--until", "pack"]), "pack ran\n");
    let output = taker.packtrain(&["run", "small.yaml", "--profile", "team"]);
    assert_eq!(stages(&output), all_from_remote().replace("pack reused from the remote", "pack reused"));
}

#[test]
fn an_address_with_a_secret_is_refused_and_not_repeated() {
    let project = project();
    project.write("packtrain-profiles.yaml", "team: { remote: 'https://jane:geheim@example.org' }\n");
    for arguments in [
        &["run", "small.yaml", "--remote", "https://jane:geheim@example.org"][..],
        &["cache", "push", "--remote", "s3://geheim@bucket"],
        &["run", "small.yaml", "--profile", "team"],
        &["plan", "small.yaml", "--remote", "https://example.org/?token=geheim"],
    ] {
        let output = project.packtrain(arguments);
        assert!(output.code == 2 && output.stderr.contains("PACKTRAIN_REMOTE_TOKEN"), "{arguments:?}: {}", output.stderr);
        assert!(!output.stderr.contains("geheim"), "{}", output.stderr);
    }
    let help = project.packtrain_with(&["run", "--help"], &[("PACKTRAIN_REMOTE", "https://jane:geheim@example.org")]);
    assert!(help.stdout.contains("PACKTRAIN_REMOTE") && !help.stdout.contains("geheim"));
    assert!(all_files(&project.path(".packtrain/runs")).is_empty());
}
