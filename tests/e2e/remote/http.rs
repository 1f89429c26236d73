//! A plain HTTP server as remote cache, and one that misbehaves.

use std::thread;
use std::time::{Duration, Instant};

use super::server::{FileServer, Manner};
use super::{
    ALL_RAN, ALL_REUSED, all_files, all_from_remote, assert_sound, broken_promises, flip_a_bit, giver, object, project, results, run,
    run_with, stages,
};

#[test]
fn results_are_put_to_a_server_and_taken_from_it() {
    let server = FileServer::new(Manner::Good);
    let giver = giver(&server.url(), &[]);
    assert_eq!(broken_promises(&server.root()), Vec::<String>::new());
    let taker = project();
    assert_eq!(stages(&run(&taker, &server.url())), all_from_remote());
    assert_eq!(results(&taker), results(&giver));
    assert_sound(&taker);
}

#[test]
fn a_no_op_run_asks_nothing_and_is_not_held_by_a_server_that_hangs() {
    let server = FileServer::new(Manner::Hangs);
    let project = project();
    project.run(&["small.yaml"]);
    let started = Instant::now();
    assert_eq!(run(&project, &server.url()).stages(), ALL_REUSED);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn a_file_is_gone_on_with_where_the_connection_broke() {
    let server = FileServer::new(Manner::Good);
    let giver = giver(&server.url(), &[]);
    server.behave(Manner::CutsAfter(1_100_000));
    let taker = project();
    assert_eq!(stages(&run(&taker, &server.url())), all_from_remote());
    assert_eq!(results(&taker), results(&giver));
    let ranges: Vec<String> = server.requests().into_iter().filter(|request| !request.ends_with(' ')).collect();
    assert!(ranges.len() >= 2 && ranges.iter().all(|request| request.contains("/objects/")), "{ranges:?}");
}

#[test]
fn a_server_that_gives_no_parts_is_asked_for_the_whole_again() {
    let server = FileServer::new(Manner::Good);
    let giver = giver(&server.url(), &[]);
    server.behave(Manner::CutsTheFirst(1_100_000));
    let taker = project();
    assert_eq!(stages(&run(&taker, &server.url())), all_from_remote());
    assert_eq!(results(&taker), results(&giver));
}

#[test]
fn a_server_that_refuses_closes_or_hangs_holds_no_run_for_long_and_fails_none() {
    for manner in [Manner::Refuses, Manner::Closes, Manner::Hangs] {
        let server = FileServer::new(manner);
        let started = Instant::now();
        let output = run(&project(), &server.url());
        assert_eq!(output.stages(), ALL_RAN, "{manner:?}");
        assert_eq!(output.stderr.matches("warning: the remote cache http://127.0.0.1").count(), 1, "{manner:?}: {}", output.stderr);
        assert!(output.stderr.contains("; going on without it"), "{manner:?}: {}", output.stderr);
        assert!(started.elapsed() < Duration::from_secs(40), "{manner:?}: {:?}", started.elapsed());
        // What has failed is not asked for the other stages.
        assert!(server.requests().iter().all(|request| *request == server.requests()[0]), "{manner:?}: {:?}", server.requests());
    }
}

#[test]
fn a_flipped_bit_is_refused_whatever_it_came_by() {
    let server = FileServer::new(Manner::Good);
    let giver = giver(&server.url(), &[]);
    flip_a_bit(&object(&server.root(), &giver.read("output/small/pack/train.h5")));
    let taker = project();
    let output = run(&taker, &server.url());
    assert!(stages(&output).starts_with("pack ran\nmean reused from the remote\n"), "{}", output.stages());
    assert_sound(&taker);
}

#[test]
fn a_token_comes_from_the_environment() {
    let server = FileServer::with_token(Manner::Good, Some("geheim-token"));
    let variables = [("PACKTRAIN_REMOTE_TOKEN", "geheim-token")];
    giver(&server.url(), &variables);
    let taker = project();
    let output = run(&taker, &server.url());
    assert!(output.stages().starts_with("pack ran") && output.stderr.contains("it refuses access"), "{}", output.stderr);
    let taker = project();
    assert_eq!(stages(&run_with(&taker, &server.url(), &variables)), all_from_remote());
    for file in all_files(&taker.path(".packtrain")) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("geheim"), "{}", file.display());
    }
}

#[test]
fn a_killed_run_leaves_nothing_half_that_it_was_taking() {
    let server = FileServer::new(Manner::Good);
    let giver = giver(&server.url(), &[]);
    server.behave(Manner::Slow(Duration::from_millis(40)));
    let taker = project();
    let mut child = taker.run_until(&["small.yaml", "--remote", &server.url()], "\"activity\":\"fetching\"");
    thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let verified = taker.packtrain(&["cache", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    server.behave(Manner::Good);
    run(&taker, &server.url());
    assert_eq!(results(&taker), results(&giver));
    assert_sound(&taker);
}

#[test]
fn ctrl_c_ends_a_run_that_is_taking_a_result() {
    let server = FileServer::new(Manner::Good);
    giver(&server.url(), &[]);
    server.behave(Manner::Slow(Duration::from_millis(500)));
    let taker = project();
    let mut running = taker.listen(&["run", "small.yaml", "--json", "--remote", &server.url()]);
    running.hear("\"stage-fetching\"");
    let started = Instant::now();
    running.interrupt();
    let (code, told) = running.end();
    assert!(code == 130 && started.elapsed() < Duration::from_secs(10), "{told}");
    assert_sound(&taker);
}

#[test]
fn a_push_that_was_killed_leaves_no_record_without_its_files_and_goes_on() {
    let server = FileServer::new(Manner::Slow(Duration::from_millis(20)));
    let giver = project();
    giver.run(&["small.yaml"]);
    let mut sent = Vec::new();
    for pause in [300, 600] {
        let mut child = giver.start(&["cache", "push", "--remote", &server.url()]);
        thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(broken_promises(&server.root()), Vec::<String>::new());
        sent.push(all_files(&server.root()).len());
    }
    server.behave(Manner::Good);
    let output = giver.packtrain(&["cache", "push", "--remote", &server.url()]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(broken_promises(&server.root()), Vec::<String>::new());
    assert_eq!(stages(&run(&project(), &server.url())), all_from_remote(), "{sent:?}");
}
