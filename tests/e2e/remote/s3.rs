//! A real S3 server, on loopback, as remote cache.

use std::fs;
use std::io::Read;

use super::server::{S3Server, SECRET_KEY};
use super::{
    ALL_REUSED, all_files, all_from_remote, assert_sound, broken_promises, flip_a_bit, giver, object, project, results, run_with, stages,
};

const REMOTE: &str = "s3://team/cache";

#[test]
fn what_one_project_gave_to_a_bucket_spares_another_one_every_stage() {
    let server = S3Server::new();
    let giver = giver(REMOTE, &server.variables());
    assert_eq!(broken_promises(&server.root()), Vec::<String>::new());
    let taker = project();
    assert_eq!(stages(&run_with(&taker, REMOTE, &server.variables())), all_from_remote());
    assert_eq!(results(&taker), results(&giver));
    assert_sound(&taker);
    assert_eq!(taker.run(&["small.yaml"]), ALL_REUSED);
    let again = giver.packtrain_with(&["cache", "push", "--remote", REMOTE], &server.variables());
    assert_eq!(again.stdout, "gave 0 results in 0 files, 0 B, to s3://team/cache\n4 results were there already\n");
    let status = taker.packtrain_with(&["cache", "status", "--remote", REMOTE], &server.variables());
    assert!(status.stdout.contains("the remote cache s3://team/cache has 4 of 4 results\n"), "{}", status.stdout);
}

#[test]
fn a_damaged_object_of_a_bucket_is_refused() {
    let server = S3Server::new();
    let giver = giver(REMOTE, &server.variables());
    flip_a_bit(&object(&server.root(), &giver.read("output/small/stamp/out.txt")));
    let taker = project();
    let output = run_with(&taker, REMOTE, &server.variables());
    assert!(stages(&output).starts_with("pack reused from the remote\nmean reused from the remote\nstamp ran\n"), "{}", output.stages());
    assert_sound(&taker);
}

#[test]
fn a_file_of_many_parts_arrives_whole() {
    let server = S3Server::new();
    let giver = project();
    giver.edit("small.yaml", "head -c 3000000", "head -c 40000000");
    giver.run(&["small.yaml"]);
    let pushed = giver.packtrain_with(&["cache", "push", "--remote", REMOTE], &server.variables());
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    let taker = project();
    taker.edit("small.yaml", "head -c 3000000", "head -c 40000000");
    assert_eq!(stages(&run_with(&taker, REMOTE, &server.variables())), all_from_remote());
    assert_eq!(results(&taker), results(&giver));
}

#[test]
fn wrong_credentials_fail_no_run() {
    let server = S3Server::new();
    giver(REMOTE, &server.variables());
    let mut variables = server.variables();
    variables[2].1 = "another";
    let taker = project();
    let output = run_with(&taker, REMOTE, &variables);
    assert!(output.stages().starts_with("pack ran\n"), "{}", output.stages());
    assert!(output.stderr.contains("warning: the remote cache s3://team/cache: it refuses access"), "{}", output.stderr);
    let pushed = taker.packtrain_with(&["cache", "push", "--remote", REMOTE], &variables);
    assert!(pushed.code == 4 && pushed.stderr.contains("it refuses access"), "{}", pushed.stderr);
}

#[test]
fn credentials_are_written_nowhere() {
    let server = S3Server::new();
    let giver = giver(REMOTE, &server.variables());
    let taker = project();
    let variables = server.variables();
    let mut told = Vec::new();
    for arguments in [
        &["run", "small.yaml", "--remote", REMOTE, "--name", "first"][..],
        &["run", "small.yaml", "--remote", REMOTE, "--json"],
        &["cache", "push", "--remote", REMOTE, "--json"],
        &["cache", "status", "--remote", REMOTE, "--json"],
        &["cache", "verify", "--repair", "--remote", REMOTE],
        &["history", "--json"],
        &["report", "first"],
        &["bundle", "first", "--objects", "all", "-o", "first.zip"],
        &["import", "first.zip", "again"],
    ] {
        let output = taker.packtrain_with(arguments, &variables);
        assert_eq!(output.code, 0, "{arguments:?}: {}", output.stderr);
        told.extend([output.stdout, output.stderr]);
    }
    let mut bundle = zip::ZipArchive::new(fs::File::open(taker.path("first.zip")).unwrap()).unwrap();
    told.extend((0..bundle.len()).map(|entry| entry_text(&mut bundle, entry)));
    let files = [taker.path(""), giver.path(""), server.folder.path().to_owned()].map(|folder| all_files(&folder)).concat();
    assert!(files.iter().any(|file| file.ends_with("again/small.yaml")), "{files:?}");
    for (place, text) in files
        .iter()
        .map(|file| (file.display().to_string(), fs::read(file).unwrap()))
        .chain(told.iter().enumerate().map(|(index, text)| (format!("output {index}"), text.clone().into_bytes())))
    {
        let found = text.windows(SECRET_KEY.len()).any(|window| window == SECRET_KEY.as_bytes());
        assert!(!found, "{place}");
    }
}

/// A file of an archive, as far as it is text.
fn entry_text(archive: &mut zip::ZipArchive<fs::File>, entry: usize) -> String {
    let mut content = Vec::new();
    archive.by_index(entry).unwrap().read_to_end(&mut content).unwrap();
    String::from_utf8_lossy(&content).into_owned()
}
