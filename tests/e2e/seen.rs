//! The pictures of a report that show what a network saw: training images epoch by epoch, and the crops of an evaluation. Each is
//! compared, pixel by pixel, with the packed images that it was cut out of.

use base64::Engine;
use packtrain::artifact::ImagesFile;
use regex::Regex;

use crate::harness::Project;
use crate::report::report;

/// Packed so small that pictures of them are kept without loss.
const MANIFEST: &str = "
name: seen
seed: 5
stages:
  pack: { kind: pack, images: images, size: 24, split: { test: 0.4 } }
  mean: { kind: compute-mean, images: pack.train }
  train:
    kind: train
    train: pack.train
    mean: mean
    model: mini-googlenet
    input: { size: 16, train: random-crop, eval: resize, scale: 0.0078125 }
    augment: { horizontal-flip: true }
    optimizer: { sgd: { lr: 0.01 } }
    batch: 16
    epochs: 3
  ten-crop: { kind: oversample-eval, images: pack.test, model: train, mean: mean, crops: 10 }
";

const SIDE: usize = 16;

/// Pixels, row by row.
type Pixels = Vec<[u8; 3]>;

/// A picture of a strip with what is written below it.
struct Shown {
    name: String,
    width: usize,
    pixels: Pixels,
}

/// The strips of a page, each with the path of the packed image.
fn strips(page: &str) -> Vec<(String, Vec<Shown>)> {
    let strip = Regex::new(r#"(?s)<figure class="strip">(.*?)</figure>"#).unwrap();
    let picture = Regex::new(r#"(?s)<img src="data:image/png;base64,([^"]*)"[^>]*><p>([^<]*)</p>"#).unwrap();
    let path = Regex::new(r#"<span class="path">([^<]*)</span>"#).unwrap();
    let shown = |found: regex::Captures<'_>| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&found[1]).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
        Shown { name: found[2].to_owned(), width: picture.width() as usize, pixels: picture.pixels().map(|pixel| pixel.0).collect() }
    };
    let strips = strip.captures_iter(page).map(|found| found[1].to_owned());
    strips.map(|text| (path.captures(&text).unwrap()[1].to_owned(), picture.captures_iter(&text).map(shown).collect())).collect()
}

/// The packed image of a path.
fn packed(project: &Project, part: &str, path: &str) -> Pixels {
    let images = ImagesFile::open(&project.path(&format!("output/seen/pack/{part}.h5"))).unwrap();
    let row = images.rows().paths.iter().position(|own| own == path).unwrap_or_else(|| panic!("no image {path}"));
    images.row(row).chunks(3).map(|pixel| pixel.try_into().unwrap()).collect()
}

fn cut(image: &Pixels, (top, left): (usize, usize), is_mirrored: bool) -> Pixels {
    let column = |x: usize| left + if is_mirrored { SIDE - 1 - x } else { x };
    (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| image[(top + y) * 24 + column(x)])).collect()
}

#[test]
fn a_report_shows_the_very_crops_that_networks_saw() {
    let project = Project::with_images(10);
    project.write("seen.yaml", MANIFEST);
    project.run(&["seen.yaml", "--device", "cpu"]);
    let page = report(&project, &[]);
    assert!(page.contains("train: as the network saw them") && page.contains("The crops of an image"));
    let (crops, seen): (Vec<_>, Vec<_>) = strips(&page).into_iter().partition(|(_, shown)| shown.len() == 11);
    assert_eq!((crops.len(), seen.len()), (1, 4), "one image in ten crops, and a third of twelve training images");

    let mut varied = 0;
    for (path, shown) in &seen {
        let image = packed(&project, "train", path);
        let names: Vec<&str> = shown.iter().map(|shown| shown.name.as_str()).collect();
        assert_eq!(names, ["packed", "epoch 1", "epoch 2", "epoch 3"]);
        assert_eq!((shown[0].width, &shown[0].pixels), (24, &image));
        for view in &shown[1..] {
            assert_eq!(view.width, SIDE);
            let mut windows = (0..=8).flat_map(|top| (0..=8).map(move |left| (top, left)));
            let is_cut = windows.any(|place| [false, true].iter().any(|mirrored| cut(&image, place, *mirrored) == view.pixels));
            assert!(is_cut, "{path}, {}: no part of the packed image", view.name);
        }
        varied += usize::from(shown[1].pixels != shown[2].pixels);
    }
    assert!(varied > 0, "epochs see different crops");

    let (path, shown) = &crops[0];
    let image = packed(&project, "test", path);
    let places = [("top left", (0, 0)), ("top right", (0, 8)), ("bottom right", (8, 8)), ("bottom left", (8, 0)), ("centre", (4, 4))];
    let expected = [false, true].into_iter().flat_map(|mirrored| places.map(|(name, place)| (name, place, mirrored)));
    for (view, (name, place, mirrored)) in shown[1..].iter().zip(expected) {
        let name = if mirrored { format!("{name}, mirrored") } else { name.to_owned() };
        assert_eq!(view.name, name);
        assert!(view.pixels == cut(&image, place, mirrored), "{name}");
    }
}
