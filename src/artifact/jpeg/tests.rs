//! Against the means of what the decoder that reads everything gives. Numbers of another decoder are in `tests/pictures.rs`.

use image::{ImageFormat, Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;

const SAMPLINGS: [SamplingFactor; 4] = [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];

/// Light and colour in long waves, and light in one as short as is asked for, in radians a pixel.
fn drawn(width: u32, height: u32, shortest: f32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32, y as f32);
        let fine = 20.0 * ((x - y * 0.7) * shortest).sin();
        let waves = [(x / 29.0 + y / 41.0).sin(), (x / 23.0 - y / 37.0).cos(), (y / 19.0).sin()];
        Rgb(waves.map(|wave| (125.0 + 85.0 * wave + fine) as u8))
    })
}

fn encoded(image: &RgbImage, quality: u8, with: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, quality);
    with(&mut encoder);
    encoder.encode(image, image.width() as u16, image.height() as u16, ColorType::Rgb).unwrap();
    jpeg
}

/// The means of squares of `side` pixels, as many as fit best.
fn means(image: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let squares = |pixels: u32| (pixels + side / 2) / side;
    RgbImage::from_fn(squares(width), squares(height), |x, y| {
        let across = x * side..((x + 1) * side).min(width);
        let pixels: Vec<[u8; 3]> =
            (y * side..((y + 1) * side).min(height)).flat_map(|y| across.clone().map(move |x| image.get_pixel(x, y).0)).collect();
        Rgb([0, 1, 2].map(|c| {
            let sum: u32 = pixels.iter().map(|pixel| u32::from(pixel[c])).sum();
            (f64::from(sum) / pixels.len() as f64).round() as u8
        }))
    })
}

/// The mean and the greatest difference of numbers, where whole blocks are.
fn distance(a: &RgbImage, b: &RgbImage, (across, down): (u32, u32)) -> (f64, u8) {
    assert_eq!(a.dimensions(), b.dimensions());
    let places = (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
    let differences: Vec<u8> =
        places.flat_map(|(x, y)| [0, 1, 2].map(|c| a.get_pixel(x, y).0[c].abs_diff(b.get_pixel(x, y).0[c]))).collect();
    let sum: f64 = differences.iter().map(|difference| f64::from(*difference)).sum();
    (sum / differences.len() as f64, *differences.iter().max().unwrap())
}

#[track_caller]
fn assert_means(jpeg: &[u8], sides: &[u32], what: &str) {
    let whole = image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap().into_rgb8();
    let (width, height) = whole.dimensions();
    for &side in sides {
        let least = (width.min(height) / side) as usize;
        let smaller = decode_smaller(jpeg, least).unwrap_or_else(|| panic!("{what}: it cannot be decoded"));
        let inner = (width / 16 * 16 / side, height / 16 * 16 / side);
        let (mean, greatest) = distance(&smaller, &means(&whole, side), inner);
        assert!(mean < 0.8 && greatest <= 6, "{what} by {side}: {mean} on average, at most {greatest}");
    }
}

#[test]
fn pixels_are_the_means_of_those_that_they_stand_for() {
    for sampling in SAMPLINGS {
        for (width, height) in [(160, 128), (203, 150), (81, 161)] {
            for quality in [60, 90, 100] {
                // The mean of a whole block has nothing of short waves; of its quarters they are left out.
                for (shortest, sides) in [(1.1, &[8][..]), (0.3, &[8, 4])] {
                    let jpeg = encoded(&drawn(width, height, shortest), quality, |encoder| encoder.set_sampling_factor(sampling));
                    assert_means(&jpeg, sides, &format!("{sampling:?} {width}×{height} of quality {quality}"));
                }
            }
        }
    }
}

#[test]
fn a_decoder_that_starts_anew_within_a_row_changes_nothing() {
    let image = drawn(203, 150, 1.1);
    let plain = decode_smaller(&encoded(&image, 90, |_| ()), 20).unwrap();
    for interval in [1, 5, 26, 1000] {
        let jpeg = encoded(&image, 90, |encoder| encoder.set_restart_interval(interval));
        assert_eq!(decode_smaller(&jpeg, 20).unwrap(), plain, "after {interval} units");
    }
}

#[test]
fn grey_is_grey() {
    let grey = image::DynamicImage::from(drawn(100, 90, 0.3)).into_luma8();
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, 90).encode(&grey, 100, 90, ColorType::Luma).unwrap();
    assert_means(&jpeg, &[8, 4], "grey");
}

#[test]
fn the_smallest_that_is_large_enough_is_chosen() {
    let jpeg = encoded(&drawn(203, 150, 1.1), 90, |_| ());
    let side = |least| decode_smaller(&jpeg, least).map(|image| image.dimensions());
    assert_eq!([1, 18, 19, 37, 38].map(side), [Some((25, 19)), Some((25, 19)), Some((51, 38)), Some((51, 38)), None]);
}

#[test]
fn noise_of_the_highest_quality_has_the_longest_codes() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let noise = RgbImage::from_fn(96, 96, |_, _| Rgb([random(), random(), random()]));
    let jpeg = encoded(&noise, 100, |encoder| encoder.set_sampling_factor(SamplingFactor::F_1_1));
    let whole = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap().into_rgb8();
    // Colours beyond black and white are cut off before the mean there, after it here.
    let (mean, greatest) = distance(&decode_smaller(&jpeg, 12).unwrap(), &means(&whole, 8), (12, 12));
    assert!(mean < 2.5 && greatest < 15, "{mean} on average, at most {greatest}");
}

#[test]
fn what_ends_early_is_left_to_others() {
    let jpeg = encoded(&drawn(160, 128, 1.1), 90, |_| ());
    assert!(decode_smaller(&jpeg, 16).is_some());
    for length in [0, 2, 20, 150, 400, jpeg.len() / 2, jpeg.len() - 40] {
        assert!(decode_smaller(&jpeg[..length], 16).is_none(), "{length} of {} bytes", jpeg.len());
    }
}
