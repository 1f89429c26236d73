//! Small packed images for tests.

use std::path::Path;

use packtrain::artifact::{ImagesWriter, RowLabels};
use packtrain::view::{Draws, Purpose};

pub const CLASSES: [&str; 3] = ["blue", "green", "red"];

/// Writes `count` images of `side` × `side` pixels, of three classes in turn: grey noise in which the class's channel is
/// brighter.
pub fn write_coloured(path: &Path, side: usize, count: usize) {
    let pixel = |image: usize, place: usize| {
        let mut draws = Draws::new(9, Purpose::View, [image as u64, place as u64]);
        let grey = draws.below(120);
        std::array::from_fn::<_, 3, _>(|channel| (grey + if channel == 2 - image % 3 { 90 } else { draws.below(30) }) as u8)
    };
    let pixels: Vec<u8> = (0..count).flat_map(|image| (0..side * side).flat_map(move |place| pixel(image, place))).collect();
    write(path, side, &pixels);
}

/// Writes images `[n,side,side,3]` of three classes in turn.
pub fn write(path: &Path, side: usize, pixels: &[u8]) {
    let count = pixels.len() / (side * side * 3);
    let rows = RowLabels {
        labels: (0..count).map(|image| image as i64 % 3).collect(),
        label_names: CLASSES.map(str::to_owned).to_vec(),
        paths: (0..count).map(|image| format!("{}/{image}.png", CLASSES[image % 3])).collect(),
    };
    let mut writer = ImagesWriter::create(path, (side, side), &rows).unwrap();
    writer.append(pixels).unwrap();
    writer.finish().unwrap();
}
