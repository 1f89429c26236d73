//! The functions that the speed of commands rests on: `cargo bench --bench functions`, or with a part of a name behind `--`.
//!
//! Whole commands beside their peers are measured by `make bench`; here a change of one function shows.

#![expect(clippy::unwrap_used, reason = "what is measured is made here and cannot fail")]

use std::fs;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use packtrain::artifact::{Decode, Fit, ImagesWriter, PackRule, Picture, RowLabels, resize_area, resize_to_fill};
use packtrain::key::{Digest, Listing, SourceFile};
use packtrain::manifest;
use packtrain::stage::{Augment, EvalView, InputRule, Shear, TrainView};
use packtrain::view::{ImageSource, Normalization, Sample, TrainingViews};
use tempfile::TempDir;

/// A picture with detail at every scale, as photographs have it.
fn picture(width: usize, height: usize) -> Picture {
    let wave = |place: usize, length: usize| (place * 256 / length) % 256;
    let value = |x: usize, y: usize, channel: usize| ((wave(x, 7 + channel) ^ wave(y, 13)) + wave(x + y, 101)) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |channel| value(x, y, channel)))).collect();
    Picture { width, height, pixels }
}

fn pictures(criterion: &mut Criterion) {
    let photograph = picture(404, 360);
    let jpeg = photograph.encode_jpeg(90).unwrap();
    let mut group = criterion.benchmark_group("picture");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode a JPEG of 404×360", |bencher| bencher.iter(|| Picture::decode(black_box(&jpeg)).unwrap()));
    let large = picture(3000, 4000).encode_jpeg(90).unwrap();
    let scaled = PackRule { decode: Decode::Scaled, ..RULE };
    group.bench_function("decode an eighth of a JPEG of 3000×4000", |bencher| bencher.iter(|| scaled.decode(black_box(&large)).unwrap()));
    group.bench_function("resize 404×360 to fill 256×256", |bencher| bencher.iter(|| resize_to_fill(black_box(&photograph), 256)));
    group.bench_function("resize 256×256 to 227×227", |bencher| {
        let packed = picture(256, 256);
        bencher.iter(|| resize_area(black_box(&packed), 227, 227));
    });
    group.finish();
}

const SIDE: u32 = 227;
const BATCH: usize = 32;

const RULE: PackRule = PackRule { size: 256, fit: Fit::Crop, decode: Decode::Full };

/// A file of packed images, with the folder that it lies in.
fn packed() -> (TempDir, ImageSource) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.h5");
    let paths = (0..BATCH).map(|image| format!("{image}.jpg")).collect();
    let rows = RowLabels { labels: vec![0; BATCH], label_names: vec!["any".to_owned()], paths };
    let mut writer = ImagesWriter::of_squares(&path, RULE, &rows).unwrap();
    (0..BATCH).for_each(|_| writer.append(&picture(256, 256).pixels).unwrap());
    writer.finish().unwrap();
    let source = ImageSource::open(&path, SIDE, Normalization::standard(1.0, [124.0, 117.0, 104.0], [1.0; 3])).unwrap();
    (folder, source)
}

fn batches(criterion: &mut Criterion) {
    let (_folder, source) = packed();
    let flip = Augment { rotation: 0.0, shift: 0.0, shear: Shear { radians: 0.0 }, zoom: 0.0, horizontal_flip: true };
    let all = Augment { rotation: 20.0, shift: 0.2, shear: Shear { radians: 0.15 }, zoom: 0.15, horizontal_flip: true };
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, augment) in [("crop and mirror", flip), ("crop, warp and mirror", all)] {
        let input = InputRule { size: SIDE, train: TrainView::RandomCrop, eval: EvalView::Resize, scale: 1.0 };
        let views = TrainingViews { input: &input, augment: &augment, seed: 1 };
        let samples: Vec<Sample> = (0..BATCH).map(|image| views.sample(&source, 1, image).unwrap()).collect();
        let mut inputs = vec![0.0; BATCH * (SIDE * SIDE * 3) as usize];
        group.bench_function(name, |bencher| bencher.iter(|| source.fill_all(black_box(&mut inputs), &samples)));
    }
    group.finish();
}

fn listings(criterion: &mut Criterion) {
    let file =
        |index: u32| SourceFile { path: format!("d{:03}/f{index:06}.jpg", index / 250), digest: Digest::of_bytes(&index.to_le_bytes()) };
    let listing = Listing::new((0..25_000).map(file).collect());
    let text = listing.to_text();
    let mut group = criterion.benchmark_group("listing of 25,000 files");
    group.throughput(Throughput::Elements(25_000));
    group.bench_function("digest", |bencher| bencher.iter(|| black_box(&listing).digest()));
    group.bench_function("parse", |bencher| bencher.iter(|| Listing::parse(black_box(&text)).unwrap()));
    group.finish();
}

fn manifests(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.yaml");
    fs::write(folder.path().join("in.txt"), "").unwrap();
    let stage = |index: u32| {
        let from = index.checked_sub(1).map_or("{ file: in.txt }".to_owned(), |before| format!("s{before:04}"));
        format!(
            "  s{index:04}: {{ kind: command, run: [cp, '{{inputs.from}}', '{{outputs.to}}'], inputs: {{ from: {from} }}, outputs: {{ to: {{ file: out.txt }} }} }}\n"
        )
    };
    let stages: String = (0..1_000).map(stage).collect();
    fs::write(&path, format!("name: long\nstages:\n{stages}")).unwrap();
    criterion
        .bench_function("load a manifest of 1,000 stages", |bencher| bencher.iter(|| manifest::load(&path, &[], folder.path()).unwrap()));
}

criterion_group!(benches, pictures, batches, listings, manifests);
criterion_main!(benches);
