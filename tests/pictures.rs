//! Every kind of image file that people have is decoded as Pillow decodes it. `tests/pictures/make.py` wrote the files.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use packtrain::artifact::{Decode, Fit, PackRule, Picture, PictureError};

type Corners = [[u8; 3]; 4];

/// Top left, bottom left, top right, bottom right of the picture as drawn.
const DRAWN: Corners = [[0, 0, 60], [0, 225, 60], [230, 0, 60], [230, 225, 60]];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name)
}

fn decode(name: &str) -> Picture {
    Picture::decode(&fs::read(path(name)).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn corners(picture: &Picture) -> Corners {
    let (right, bottom) = (picture.width - 1, picture.height - 1);
    [(0, 0), (0, bottom), (right, 0), (right, bottom)].map(|(x, y)| {
        let at = (y * picture.width + x) * 3;
        [picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]]
    })
}

#[track_caller]
fn assert_near(name: &str, tolerance: u8, expected: Corners) {
    let picture = decode(name);
    let corners = corners(&picture);
    let near = corners.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(near, "{name}: {corners:?}, not {expected:?}");
}

#[test]
fn lossless_files_give_their_pixels_whatever_their_name_and_layout() {
    for name in ["rgb.png", "rgb-16.png", "rgb.bmp", "webp-named.png"] {
        assert_near(name, 0, DRAWN);
        assert_eq!(decode(name), decode("rgb.png"), "{name}");
    }
}

#[test]
fn alpha_is_dropped_not_composited() {
    assert_eq!(decode("alpha.png"), decode("rgb.png"));
}

#[test]
fn palettes_and_the_first_frame_of_animations_are_decoded() {
    // Pillow's median cut leaves these colours.
    let quantized = [[5, 0, 60], [0, 225, 60], [225, 0, 60], [225, 225, 60]];
    assert_near("palette.png", 0, quantized);
    assert_near("animated.gif", 0, quantized);
}

#[test]
fn jpegs_of_every_kind_are_decoded() {
    for name in ["baseline.jpg", "progressive.jpg", "component-ids-from-0.jpg", "cmyk.jpg"] {
        assert_near(name, 2, DRAWN);
    }
    // As Pillow decodes them: the luma, and YCCK made of CMYK numbers.
    assert_near("gray.jpg", 1, [[7; 3], [139; 3], [76; 3], [208; 3]]);
    assert_near("ycck.jpg", 3, [[255, 162, 255], [255, 240, 83], [120, 0, 252], [120, 10, 0]]);
}

#[test]
fn pictures_are_turned_upright() {
    let [top_left, bottom_left, top_right, bottom_right] = DRAWN;
    assert_near("exif-3.jpg", 2, [bottom_right, top_right, bottom_left, top_left]);
    let turned = decode("exif-6.jpg");
    assert_eq!((turned.width, turned.height), (16, 24));
    assert_near("exif-6.jpg", 2, [bottom_left, bottom_right, top_left, top_right]);
}

/// What is decoded of a file for squares of a size.
fn decode_scaled(name: &str, size: u32) -> Picture {
    let rule = PackRule { size, fit: Fit::Crop, decode: Decode::Scaled };
    rule.decode(&fs::read(path(name)).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Five pixels on the way from the top left to the bottom right.
fn diagonal(picture: &Picture) -> [[u8; 3]; 5] {
    std::array::from_fn(|i| picture.row(picture.height * i / 5).as_chunks::<3>().0[picture.width * i / 5])
}

#[test]
fn photographs_are_decoded_at_a_smaller_scale_as_by_libjpeg_turbo() {
    // Pillow's `draft`, see make.py.
    let eighth = [[140, 198, 111], [209, 147, 172], [71, 71, 107], [90, 23, 32], [185, 38, 109]];
    let quarter = [[127, 199, 113], [200, 157, 177], [53, 82, 98], [77, 22, 25], [180, 35, 92]];
    for (size, (width, height), expected) in [(19, (25, 19), eighth), (20, (50, 38), quarter), (38, (50, 38), quarter)] {
        let picture = decode_scaled("photograph.jpg", size);
        assert_eq!((picture.width, picture.height), (width, height), "for {size}");
        let diagonal = diagonal(&picture);
        let near = diagonal.as_flattened().iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) <= 2);
        assert!(near, "for {size}: {diagonal:?}, not {expected:?}");
    }
}

#[test]
fn what_becomes_smaller_is_turned_upright_too() {
    let turned = decode_scaled("photograph-exif-6.jpg", 30);
    assert_eq!((turned.width, turned.height), (38, 50));
    // The stored picture, from the left at its bottom upwards.
    let pixels = (0..5).map(|i| turned.row(50 * i / 5).as_chunks::<3>().0[37 - 38 * i / 5]);
    let expected = [[127, 199, 113], [200, 157, 177], [53, 82, 98], [77, 22, 25], [180, 35, 92]];
    assert!(pixels.zip(expected).all(|(a, b)| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2)));
}

#[test]
fn what_cannot_be_decoded_smaller_is_decoded_as_it_is() {
    let whole = decode("photograph.jpg");
    assert_eq!(decode_scaled("photograph.jpg", 39), whole, "a quarter of it is too small");
    for name in ["progressive.jpg", "cmyk.jpg", "ycck.jpg", "rgb.png", "animated.gif"] {
        assert_eq!(decode_scaled(name, 1), decode(name), "{name}");
    }
    let mut bytes = fs::read(path("photograph.jpg")).unwrap();
    bytes.truncate(bytes.len() - 20);
    let rule = PackRule { size: 8, fit: Fit::Crop, decode: Decode::Scaled };
    assert!(matches!(rule.decode(&bytes), Err(PictureError::Truncated)));
}

#[test]
fn what_is_no_whole_picture_is_refused_with_the_reason() {
    let reason = |bytes: &[u8]| Picture::decode(bytes).unwrap_err().to_string();
    assert_eq!(reason(b""), "the file is empty");
    assert_eq!(reason(b"<html>404</html>"), "not an image: its first bytes are those of no JPEG, PNG, WebP, BMP or GIF");
    for name in ["baseline.jpg", "progressive.jpg"] {
        let jpeg = fs::read(path(name)).unwrap();
        assert_eq!(reason(&jpeg[..jpeg.len() - 20]), "truncated JPEG: no end of image follows its pixels", "{name}");
    }
    let png = fs::read(path("rgb-16.png")).unwrap();
    assert_eq!(reason(&png[..png.len() / 2]), "damaged PNG: unexpected end of file");
}

#[test]
fn what_follows_the_end_of_a_jpeg_does_not_matter() {
    let mut jpeg = fs::read(path("baseline.jpg")).unwrap();
    jpeg.extend(b"\xff\xd8 of a panorama");
    assert_eq!(Picture::decode(&jpeg).unwrap(), decode("baseline.jpg"));
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let mut png = fs::read(path("rgb.png")).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    // CRC-32 of the header with 60,000 × 60,000 pixels, by Python's zlib.crc32.
    png[29..33].copy_from_slice(&0x0FB0_E215_u32.to_be_bytes());
    assert!(matches!(Picture::decode(&png), Err(PictureError::TooLarge { width: 60_000, height: 60_000 })));
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let jpegs = ["progressive.jpg", "cmyk.jpg", "photograph.jpg", "exif-6.jpg", "gray.jpg"];
    for name in jpegs.into_iter().chain(["palette.png", "animated.gif", "webp-named.png", "rgb.bmp"]) {
        let whole = fs::read(path(name)).unwrap();
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            let scaled = PackRule { size: 1, fit: Fit::Crop, decode: Decode::Scaled };
            for picture in [Picture::decode(&bytes), scaled.decode(&bytes)].into_iter().flatten() {
                assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
            }
        }
    }
}
