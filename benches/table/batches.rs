//! Training batches from packed images, beside the best that Python does: as the worker prepares them, in two threads.

use std::path::Path;
use std::time::Instant;

use packtrain::stage::{Augment, EvalView, InputRule, Shear, TrainView};
use packtrain::view::{ImageSource, Normalization, Sample, TrainingViews};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::bench::Bench;
use crate::error::BenchError;
use crate::noise::Noise;
use crate::row::{Aim, Contest, Row, Side, Unit};

const PACKED: usize = 256;
const SIDE: u32 = 227;
const BATCH: usize = 128;
const IMAGES: usize = 8 * BATCH;
const THREADS: usize = 2;

/// How long a side works in a round.
const SECONDS: f64 = 2.0;

const PYTHON: &str = "Python, OpenCV and torch";
const PACKAGES: [&str; 4] = ["numpy==2.4.6", "h5py==3.16.0", "opencv-python-headless==5.0.0.93", "torch==2.11.0"];

const FLIP: Augment = Augment { rotation: 0.0, shift: 0.0, shear: Shear { radians: 0.0 }, zoom: 0.0, horizontal_flip: true };
const ALL: Augment = Augment { rotation: 20.0, shift: 0.2, shear: Shear { radians: 0.15 }, zoom: 0.15, horizontal_flip: true };

pub fn rows() -> Vec<Row> {
    let row =
        |name: &str, what: &str, augment, script| Row::new(name, what, Unit::Images, move |bench: &Bench| contest(bench, augment, script));
    vec![
        row("batches", "training batches of 128: 227×227 crops, mirrored at random, minus a mean", FLIP, "crop"),
        row("batches-affine", "the same, turned, moved, sheared and zoomed", ALL, "affine"),
    ]
}

fn contest(bench: &Bench, augment: Augment, script: &str) -> Result<Contest, BenchError> {
    let path = Noise { images: IMAGES, side: PACKED, classes: 1 }.file(bench)?;
    let mut loader = Loader::open(&path, augment)?;
    let ours = Side::new("packtrain", move || loader.rate());
    let others = bench.peers.script(PYTHON, &PACKAGES, "batches.py", &[Path::new(script), &path])?.into_iter().collect();
    Ok(Contest { ours, others, stated: Vec::new(), aim: Aim::Times { side: PYTHON.to_owned(), factor: 1.5 } })
}

/// A training's epochs without a network.
struct Loader {
    source: ImageSource,
    augment: Augment,
    threads: ThreadPool,
    batch: Vec<f32>,
    epoch: u32,
}

impl Loader {
    fn open(path: &Path, augment: Augment) -> Result<Loader, BenchError> {
        let unexpected = |error: String| BenchError::Unexpected(error);
        let normalization = Normalization::standard(1.0, [124.0, 117.0, 104.0], [1.0; 3]);
        let source = ImageSource::open(path, SIDE, normalization).map_err(|error| unexpected(error.to_string()))?;
        let threads = ThreadPoolBuilder::new().num_threads(THREADS).build().map_err(|error| unexpected(error.to_string()))?;
        let batch = vec![0.0; BATCH * (SIDE * SIDE * 3) as usize];
        Ok(Loader { source, augment, threads, batch, epoch: 0 })
    }

    /// Images a second over some epochs.
    fn rate(&mut self) -> Result<f64, BenchError> {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed().as_secs_f64() < SECONDS {
            self.epoch += 1;
            let samples = self.samples()?;
            for samples in samples.chunks(BATCH) {
                self.threads.install(|| self.source.fill_all(&mut self.batch, samples));
            }
            done += samples.len();
        }
        Ok(done as f64 / started.elapsed().as_secs_f64())
    }

    fn samples(&self) -> Result<Vec<Sample>, BenchError> {
        let input = InputRule { size: SIDE, train: TrainView::RandomCrop, eval: EvalView::Resize, scale: 1.0 };
        let views = TrainingViews { input: &input, augment: &self.augment, seed: 1 };
        let sample = |image| views.sample(&self.source, self.epoch, image);
        (0..IMAGES).map(sample).collect::<Result<_, _>>().map_err(|error| BenchError::Unexpected(error.to_string()))
    }
}
