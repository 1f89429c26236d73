//! `pack` with `compute-mean`, from JPEGs in a folder to HDF5.

use std::fs;
use std::path::{Path, PathBuf};

use packtrain::record::StageState;

use crate::bench::{Bench, last_run, packtrain};
use crate::error::BenchError;
use crate::measure::{self, Cost};
use crate::photographs::{LARGE, Photographs, SMALL};
use crate::row::{Aim, Contest, Group, Row, Side, Unit};

/// Photographs of about 404×360.
const COUNT: usize = 4_000;

/// Photographs of 3,000×4,000.
const LARGE_COUNT: usize = 48;

/// So many images show how cost grows.
const GROWING: [usize; 3] = [1_000, 4_000, 16_000];

const THREADS: usize = 2;

/// What `pack.py` needs.
pub const PACKAGES: [&str; 3] = ["opencv-python-headless==5.0.0.93", "h5py==3.16.0", "simplejpeg==1.9.0"];

const MANIFEST: &str = "name: bench
params: { decode: full }
stages:
  pack: { kind: pack, images: images, labels: parent-dir, size: 256, decode: '${decode}', split: { val: 0.1, test: 0.1 } }
  mean: { kind: compute-mean, images: pack.train }
";

const BEST: &str = "libjpeg-turbo and OpenCV, two threads";

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("pack", "`pack` of 4,000 photographs of about 404×360 to 256×256, and their mean", Unit::Images, small),
        Row::new("pack-memory", "the most memory of it", Unit::Mebibytes, small_memory),
        Row::new("pack-large", "`pack` of 48 photographs of 3,000×4,000 to 256×256, and their mean", Unit::Images, large),
    ];
    for count in GROWING {
        let row = |name: &str, what: &str, unit, value: fn(usize, Cost) -> f64| {
            let contest = move |bench: &Bench| growing(bench, count, value);
            Row::new(format!("{name}-{count}"), format!("{what}, {count} photographs"), unit, contest).in_group(Group::Scaling)
        };
        rows.push(row("pack", "`pack` and `compute-mean`", Unit::Images, |count, cost| count as f64 / cost.seconds));
        rows.push(row("pack-memory", "the most memory of it", Unit::Mebibytes, |_, cost| cost.peak_mib));
    }
    rows
}

fn small(bench: &Bench) -> Result<Contest, BenchError> {
    let project = PackProject::small(bench, COUNT)?;
    let others = [peer(&project, bench, BEST, "full")?, peer(&project, bench, "limit: libjpeg-turbo decodes, two threads", "decode")?];
    let ours = Side::new("packtrain", move || Ok(COUNT as f64 / project.pack(THREADS)?.seconds));
    let aim = Aim::Times { side: BEST.to_owned(), factor: 1.5 };
    Ok(Contest { ours, others: others.into_iter().flatten().collect(), stated: Vec::new(), aim })
}

fn small_memory(bench: &Bench) -> Result<Contest, BenchError> {
    let project = PackProject::small(bench, COUNT)?;
    let ours = Side::new("packtrain", move || Ok(project.pack(THREADS)?.peak_mib));
    Ok(Contest { ours, others: Vec::new(), stated: Vec::new(), aim: Aim::Value(150.0) })
}

fn large(bench: &Bench) -> Result<Contest, BenchError> {
    let project = PackProject::of(bench, "large", LARGE_COUNT, || Photographs::drawn(&LARGE))?;
    let scaled = "libjpeg-turbo at a smaller scale and OpenCV, two threads";
    let full = "the same at full scale";
    let peers = [peer(&project, bench, scaled, "scaled")?, peer(&project, bench, full, "full")?];
    let side = |name: &str, decode: &'static str| {
        let project = PackProject { folder: project.folder.clone() };
        Side::new(name, move || Ok(LARGE_COUNT as f64 / project.pack_by(decode, THREADS)?.seconds))
    };
    let (ours, whole) = (side("packtrain, `decode: scaled`", "scaled"), side("packtrain at full scale", "full"));
    let aim = Aim::Times { side: scaled.to_owned(), factor: 1.5 };
    Ok(Contest { ours, others: peers.into_iter().flatten().chain([whole]).collect(), stated: Vec::new(), aim })
}

/// `count` photographs, in two threads and in one.
fn growing(bench: &Bench, count: usize, value: fn(usize, Cost) -> f64) -> Result<Contest, BenchError> {
    let side = |name: &str, threads: usize| {
        let project = PackProject::small(bench, count)?;
        Ok(Side::new(name, move || Ok(value(count, project.pack(threads)?))))
    };
    let (ours, others) = (side("packtrain", THREADS)?, vec![side("the same in one thread", 1)?]);
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Shown })
}

fn peer(project: &PackProject, bench: &Bench, name: &str, how: &str) -> Result<Option<Side>, BenchError> {
    let out = project.folder.join("peer");
    bench.peers.script(name, &PACKAGES, "pack.py", &[&project.images(), &out, Path::new(how)])
}

/// A folder with photographs and a manifest that packs them.
struct PackProject {
    folder: PathBuf,
}

impl PackProject {
    /// Of the user's photographs, if a folder of some was given.
    fn small(bench: &Bench, count: usize) -> Result<PackProject, BenchError> {
        match &bench.photographs {
            Some(folder) => PackProject::of(bench, "own", count, || Photographs::of_folder(folder)),
            None => PackProject::of(bench, "drawn", count, || Photographs::drawn(&SMALL)),
        }
    }

    fn of(
        bench: &Bench,
        name: &str,
        count: usize,
        photographs: impl Fn() -> Result<Photographs, BenchError>,
    ) -> Result<PackProject, BenchError> {
        let project = PackProject { folder: bench.path(&format!("pack-{name}-{count}")) };
        if !Photographs::are_at(&project.images()) {
            photographs()?.write(&project.images(), count)?;
        }
        let manifest = project.folder.join("bench.yaml");
        fs::write(&manifest, MANIFEST).map_err(BenchError::at(&manifest))?;
        Ok(project)
    }

    /// Packs everything anew.
    fn pack(&self, threads: usize) -> Result<Cost, BenchError> {
        self.pack_by("full", threads)
    }

    fn pack_by(&self, decode: &str, threads: usize) -> Result<Cost, BenchError> {
        for name in [".packtrain", "output"] {
            let path = self.folder.join(name);
            if path.exists() {
                fs::remove_dir_all(&path).map_err(BenchError::at(&path))?;
            }
        }
        // Its own root, whatever lies above it.
        let state = self.folder.join(".packtrain");
        fs::create_dir(&state).map_err(BenchError::at(&state))?;
        let cost = measure::run(
            packtrain(&self.folder, &["run", "bench.yaml", "-p", &format!("decode={decode}")])
                .env("RAYON_NUM_THREADS", threads.to_string()),
        )?;
        let record = last_run(&state.join("runs"))?;
        match record.stages.iter().find(|stage| stage.state != StageState::Finished) {
            Some(stage) => Err(BenchError::Unexpected(format!("{} did not run: {:?}", stage.stage, stage.state))),
            None => Ok(cost),
        }
    }

    fn images(&self) -> PathBuf {
        self.folder.join("images")
    }
}
