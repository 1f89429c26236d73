//! What it costs to do nothing, and next to nothing.

use std::rc::Rc;
use std::time::Instant;

use crate::bench::Bench;
use crate::dvc::Dvc;
use crate::error::BenchError;
use crate::floors::{Git, hash_in_two_threads, stat_walk};
use crate::measure::Cost;
use crate::projects::{IMAGES, Project};
use crate::row::{Aim, Contest, Group, Row, Side, Unit};

/// Files of about 24 KB, 614 MB in all.
const MANY: usize = 25_000;

/// In so many threads packtrain looks at files, unless a row says otherwise.
const THREADS: usize = 2;

/// So many images show how cost grows.
const GROWING: [usize; 3] = [1_000, 10_000, 100_000];

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("noop", "`run` with nothing to do: 5 stages, 25,000 images that did not change", Unit::Seconds, noop),
        Row::new("noop-cold", "`run` with nothing to do and no memo: 25,000 images are hashed again", Unit::Seconds, noop_cold),
        Row::new("one-changed", "`run` after one of 25,000 images changed, beside the work of the stages", Unit::Seconds, one_changed),
        Row::new("stages", "`run` with nothing to do: 1,000 stages in a row", Unit::Seconds, stages),
        Row::new("stages-memory", "the most memory of `run` with nothing to do: 1,000 stages in a row", Unit::Mebibytes, stages_memory),
    ];
    for count in GROWING {
        let row = |name: &str, what: &str, unit, measure: fn(&Project, usize) -> Result<f64, BenchError>| {
            let contest = move |bench: &Bench| growing(bench, count, measure);
            Row::new(format!("{name}-{count}"), format!("{what}, {count} images"), unit, contest).in_group(Group::Scaling)
        };
        rows.push(row("noop", "`run` with nothing to do", Unit::Seconds, |project, threads| Ok(project.rerun(threads)?.seconds)));
        rows.push(row("memory", "the most memory of it", Unit::Mebibytes, |project, threads| Ok(project.rerun(threads)?.peak_mib)));
        rows.push(row("cold", "the same without a memo", Unit::Seconds, |project, threads| Ok(rerun_cold(project, threads)?.seconds)));
        rows.push(row("cold-memory", "the most memory of it", Unit::Mebibytes, |project, threads| {
            Ok(rerun_cold(project, threads)?.peak_mib)
        }));
    }
    rows
}

fn noop(bench: &Bench) -> Result<Contest, BenchError> {
    let project = Project::with_images(bench, MANY)?;
    let images = project.path(IMAGES);
    let git = Git::of(&images, &bench.path("images.git"))?;
    let mut others = vec![
        Side::new("git status", move || git.status()),
        Side::new("limit: stat, one thread", timed(move || stat_walk(&images).map(drop))),
    ];
    if let Some(dvc) = Dvc::of(&project, bench)? {
        others.push(Side::new("dvc repro", move || dvc.repro()));
    }
    let ours = Side::new("packtrain", move || Ok(project.rerun(THREADS)?.seconds));
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: "git status".to_owned(), factor: 1.0 } })
}

fn noop_cold(bench: &Bench) -> Result<Contest, BenchError> {
    let project = Rc::new(Project::with_images(bench, MANY)?);
    let images = project.path(IMAGES);
    let limit = "limit: read and hash, two threads";
    let mut others = vec![Side::new(limit, timed(move || hash_in_two_threads(&images)))];
    if let Some(dvc) = Dvc::of(&project, bench)? {
        let project = Rc::clone(&project);
        others.push(Side::new("dvc repro", move || {
            Dvc::forget(&project)?;
            dvc.repro()
        }));
    }
    let ours = Side::new("packtrain", move || Ok(rerun_cold(&project, THREADS)?.seconds));
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: limit.to_owned(), factor: 1.0 / 1.3 } })
}

/// DVC sees the change that was made for ours.
fn one_changed(bench: &Bench) -> Result<Contest, BenchError> {
    let project = Project::with_images(bench, MANY)?;
    let mut others = Vec::new();
    if let Some(dvc) = Dvc::of(&project, bench)? {
        others.push(Side::new("dvc repro, a trivial stage", move || dvc.repro()));
    }
    let ours = Side::new("packtrain", move || {
        project.change_an_image()?;
        project.run_changed()
    });
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Value(0.15) })
}

fn stages(bench: &Bench) -> Result<Contest, BenchError> {
    let project = Project::with_stages(bench, 1000)?;
    let ours = Side::new("packtrain", move || Ok(project.rerun(THREADS)?.seconds));
    Ok(Contest { ours, others: Vec::new(), stated: Vec::new(), aim: Aim::Value(0.05) })
}

fn stages_memory(bench: &Bench) -> Result<Contest, BenchError> {
    let project = Project::with_stages(bench, 1000)?;
    let ours = Side::new("packtrain", move || Ok(project.rerun(THREADS)?.peak_mib));
    Ok(Contest { ours, others: Vec::new(), stated: Vec::new(), aim: Aim::Value(40.0) })
}

/// A project of `count` images, in two threads and in one.
fn growing(bench: &Bench, count: usize, measure: fn(&Project, usize) -> Result<f64, BenchError>) -> Result<Contest, BenchError> {
    let project = Rc::new(Project::with_images(bench, count)?);
    let alone = Rc::clone(&project);
    let ours = Side::new("packtrain", move || measure(&project, THREADS));
    let others = vec![Side::new("the same in one thread", move || measure(&alone, 1))];
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Shown })
}

fn rerun_cold(project: &Project, threads: usize) -> Result<Cost, BenchError> {
    project.remove(".packtrain/index")?;
    project.rerun(threads)
}

fn timed(work: impl Fn() -> Result<(), BenchError>) -> impl FnMut() -> Result<f64, BenchError> {
    move || {
        let started = Instant::now();
        work()?;
        Ok(started.elapsed().as_secs_f64())
    }
}
