//! Resizing as OpenCV's INTER_AREA does it, to the byte.
//!
//! OpenCV (modules/imgproc/src/resize.cpp) has three algorithms under this name: sums of whole pixels when both sides
//! shrink by a whole factor, weighted sums when they shrink by any other, and bilinear interpolation with shifted weights
//! when one of them grows. Knows nothing of files.

use std::ops::Range;

use crate::artifact::Picture;

/// Resizes to `width` × `height`, both at least 1: every output pixel is the mean of the area that it covers when
/// shrinking.
pub fn resize_area(picture: &Picture, width: usize, height: usize) -> Picture {
    let columns = Axis { from: picture.width, to: width };
    let rows = Axis { from: picture.height, to: height };
    resize_window(picture, Window { axis: columns, kept: 0..width }, Window { axis: rows, kept: 0..height })
}

/// The shorter side is scaled to `size`, the longer one cut equally at both ends.
///
/// As the aspect-aware preprocessor of "Deep Learning for Computer Vision with Python" does it: the scaled longer side
/// loses its fraction, half of the surplus is cut at each end and loses its fraction too, and what remains, a pixel too
/// long at times or too short (216 of the square sizes below 2,000 come out as 256 × 255), is resized to the exact size.
pub fn resize_to_fill(picture: &Picture, size: usize) -> Picture {
    let longer = |shorter: usize, longer: usize| ((longer as f64 * (size as f64 / shorter as f64)) as usize).max(1);
    let (width, height) = if picture.width < picture.height {
        (size, longer(picture.width, picture.height))
    } else {
        (longer(picture.height, picture.width), size)
    };
    let kept = |side: usize| {
        let cut = side.saturating_sub(size) / 2;
        cut..side - cut
    };
    let columns = Window { axis: Axis { from: picture.width, to: width }, kept: kept(width) };
    let rows = Window { axis: Axis { from: picture.height, to: height }, kept: kept(height) };
    resize_area(&resize_window(picture, columns, rows), size, size)
}

/// One side of an image before and after, in pixels.
#[derive(Debug, Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
}

/// The part of a resized side that is wanted; the rest is not computed.
#[derive(Debug, Clone)]
struct Window {
    axis: Axis,
    kept: Range<usize>,
}

/// What a source pixel or row adds to an output pixel or row.
#[derive(Debug, Clone, Copy)]
struct Tap {
    source: usize,
    weight: f32,
}

/// The two neighbours of an output pixel or row, and their weights in 1/2048.
#[derive(Debug, Clone, Copy)]
struct Neighbours {
    near: usize,
    far: usize,
    near_weight: i32,
    far_weight: i32,
}

/// OpenCV's INTER_RESIZE_COEF_SCALE.
const WEIGHT_ONE: f32 = 2048.0;

impl Axis {
    /// Source pixels per output pixel, rounded as OpenCV's two divisions round it.
    fn scale(self) -> f64 {
        1.0 / (self.to as f64 / self.from as f64)
    }

    /// The factor by which the side shrinks, if it is whole.
    fn whole_factor(self) -> Option<usize> {
        self.from.is_multiple_of(self.to).then_some(self.from / self.to)
    }

    /// What the output pixel at `to` covers.
    fn taps(self, to: usize) -> Vec<Tap> {
        let scale = self.scale();
        let begin = to as f64 * scale;
        let end = begin + scale;
        let cell = scale.min(self.from as f64 - begin);
        let last_whole = (end.floor() as usize).min(self.from - 1);
        let first_whole = (begin.ceil() as usize).min(last_whole);
        let mut taps = Vec::with_capacity(last_whole - first_whole + 2);
        // A sliver below a thousandth of a pixel is left out.
        let before = first_whole as f64 - begin;
        if before > 1e-3 {
            taps.push(Tap { source: first_whole - 1, weight: (before / cell) as f32 });
        }
        taps.extend((first_whole..last_whole).map(|source| Tap { source, weight: (1.0 / cell) as f32 }));
        let after = end - last_whole as f64;
        if after > 1e-3 {
            taps.push(Tap { source: last_whole, weight: (after.min(1.0).min(cell) / cell) as f32 });
        }
        taps
    }

    /// What the output pixel at `to` lies between.
    fn neighbours(self, to: usize) -> Neighbours {
        let near = (to as f64 * self.scale()).floor() as usize;
        let shift = ((to + 1) as f64 - (near + 1) as f64 * (self.to as f64 / self.from as f64)) as f32;
        let far_share = if shift <= 0.0 { 0.0 } else { shift - shift.floor() };
        if near + 1 >= self.from {
            let last = self.from - 1;
            return Neighbours { near: last, far: last, near_weight: WEIGHT_ONE as i32, far_weight: 0 };
        }
        let weight = |share: f32| (share * WEIGHT_ONE).round_ties_even() as i32;
        Neighbours { near, far: near + 1, near_weight: weight(1.0 - far_share), far_weight: weight(far_share) }
    }
}

fn resize_window(picture: &Picture, columns: Window, rows: Window) -> Picture {
    let (x, y) = (columns.axis, rows.axis);
    let (width, height) = (columns.kept.len(), rows.kept.len());
    let pixels = if x.from == x.to && y.from == y.to {
        crop(picture, columns, rows)
    } else if x.from < x.to || y.from < y.to {
        interpolate(picture, columns, rows)
    } else if let (Some(across), Some(down)) = (x.whole_factor(), y.whole_factor()) {
        average_blocks(picture, (columns, across), (rows, down))
    } else {
        average_areas(picture, columns, rows)
    };
    Picture { width, height, pixels }
}

fn crop(picture: &Picture, columns: Window, rows: Window) -> Vec<u8> {
    rows.kept.flat_map(|y| &picture.row(y)[columns.kept.start * 3..columns.kept.end * 3]).copied().collect()
}

/// Means of `across` × `down` pixels.
fn average_blocks(picture: &Picture, (columns, across): (Window, usize), (rows, down): (Window, usize)) -> Vec<u8> {
    let mut sums = vec![0_u32; columns.kept.len() * 3];
    let mut pixels = Vec::with_capacity(sums.len() * rows.kept.len());
    let share = 1.0 / (across * down) as f32;
    for y in rows.kept {
        sums.fill(0);
        for source in y * down..(y + 1) * down {
            let row = &picture.row(source)[columns.kept.start * across * 3..columns.kept.end * across * 3];
            for (sum, block) in sums.chunks_exact_mut(3).zip(row.chunks_exact(across * 3)) {
                for pixel in block.chunks_exact(3) {
                    sum[0] += u32::from(pixel[0]);
                    sum[1] += u32::from(pixel[1]);
                    sum[2] += u32::from(pixel[2]);
                }
            }
        }
        // OpenCV rounds halves up for 2 × 2, to even for other blocks.
        if (across, down) == (2, 2) {
            pixels.extend(sums.iter().map(|sum| ((sum + 2) >> 2) as u8));
        } else {
            pixels.extend(sums.iter().map(|sum| (*sum as f32 * share).round_ties_even() as u8));
        }
    }
    pixels
}

/// Means of areas with fractional borders.
fn average_areas(picture: &Picture, columns: Window, rows: Window) -> Vec<u8> {
    let width = columns.kept.len();
    let mut across = AveragedRow::new(Coverage::new(columns), picture.width);
    let mut sums = vec![0_f32; width * 3];
    let mut pixels = vec![0; width * 3 * rows.kept.len()];
    for (out, y) in pixels.chunks_exact_mut(width * 3).zip(rows.kept) {
        sums.fill(0.0);
        for tap in rows.axis.taps(y) {
            add_weighted(&mut sums, across.of(picture, tap.source), tap.weight);
        }
        round_to_bytes(&sums, out);
    }
    pixels
}

/// What every output pixel of a row covers. The lists of taps have one length, filled up with weights of 0, which change no sum.
struct Coverage {
    /// Taps of an output pixel.
    taps: usize,
    /// The source of every output pixel's first tap; the others follow it.
    first: Vec<usize>,
    weights: Vec<f32>,
}

impl Coverage {
    fn new(columns: Window) -> Coverage {
        let axis = columns.axis;
        let lists: Vec<Vec<Tap>> = columns.kept.map(|x| axis.taps(x)).collect();
        let taps = lists.iter().map(Vec::len).max().unwrap_or(0);
        let mut coverage = Coverage { taps, first: Vec::with_capacity(lists.len()), weights: vec![0.0; lists.len() * taps] };
        for (list, weights) in lists.iter().zip(coverage.weights.chunks_exact_mut(taps)) {
            let first = list.first().map_or(0, |tap| tap.source).min(axis.from - taps);
            list.iter().for_each(|tap| weights[tap.source - first] = tap.weight);
            coverage.first.push(first);
        }
        coverage
    }
}

/// A source row averaged across. The last row of an output row is often the first of the next.
struct AveragedRow {
    coverage: Coverage,
    source: Option<usize>,
    /// The source row as numbers, and one more, so that every pixel can be read as four.
    numbers: Vec<f32>,
    values: Vec<f32>,
}

impl AveragedRow {
    fn new(coverage: Coverage, width: usize) -> AveragedRow {
        let values = vec![0.0; coverage.first.len() * 3];
        AveragedRow { coverage, source: None, numbers: vec![0.0; width * 3 + 1], values }
    }

    fn of(&mut self, picture: &Picture, source: usize) -> &[f32] {
        if self.source != Some(source) {
            self.source = Some(source);
            average_row(picture.row(source), &mut self.numbers, &self.coverage, &mut self.values);
        }
        &self.values
    }
}

fn average_row(row: &[u8], numbers: &mut [f32], coverage: &Coverage, values: &mut [f32]) {
    numbers.iter_mut().zip(row).for_each(|(number, byte)| *number = f32::from(*byte));
    match coverage.taps {
        2 => average_pixels::<2>(numbers, coverage, values),
        3 => average_pixels::<3>(numbers, coverage, values),
        _ => average_wide_pixels(numbers, coverage, values),
    }
}

/// With few taps, whose number the compiler knows.
#[inline(always)]
fn average_pixels<const TAPS: usize>(numbers: &[f32], coverage: &Coverage, values: &mut [f32]) {
    let places = coverage.first.iter().zip(coverage.weights.as_chunks::<TAPS>().0);
    for (value, (first, weights)) in values.as_chunks_mut::<3>().0.iter_mut().zip(places) {
        let covered = &numbers[first * 3..first * 3 + TAPS * 3 + 1];
        let mut sum = [0_f32; 4];
        for (tap, weight) in weights.iter().enumerate() {
            add_pixel(&mut sum, &covered[tap * 3..tap * 3 + 4], *weight);
        }
        value.copy_from_slice(&sum[..3]);
    }
}

#[inline(always)]
fn average_wide_pixels(numbers: &[f32], coverage: &Coverage, values: &mut [f32]) {
    let places = coverage.first.iter().zip(coverage.weights.chunks_exact(coverage.taps));
    for (value, (first, weights)) in values.as_chunks_mut::<3>().0.iter_mut().zip(places) {
        let mut sum = [0_f32; 4];
        for (tap, weight) in weights.iter().enumerate() {
            add_pixel(&mut sum, &numbers[(first + tap) * 3..(first + tap) * 3 + 4], *weight);
        }
        value.copy_from_slice(&sum[..3]);
    }
}

/// Adds a pixel and the number behind it, which nobody reads: four lanes are an instruction, three are not.
#[inline(always)]
fn add_pixel(sum: &mut [f32; 4], pixel: &[f32], weight: f32) {
    for lane in 0..4 {
        sum[lane] += pixel[lane] * weight;
    }
}

fn add_weighted(sums: &mut [f32], values: &[f32], weight: f32) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

/// Rounds to the nearest, halves to even: in f32 nothing is left of what is below 1 beside 2^23.
fn round_to_bytes(sums: &[f32], bytes: &mut [u8]) {
    const WHOLE: f32 = 12_582_912.0;
    bytes.iter_mut().zip(sums).for_each(|(byte, sum)| *byte = (sum + WHOLE).to_bits() as u8);
}

/// Bilinear interpolation in fixed point.
fn interpolate(picture: &Picture, columns: Window, rows: Window) -> Vec<u8> {
    let between: Vec<Neighbours> = columns.kept.map(|x| columns.axis.neighbours(x)).collect();
    let mut near = InterpolatedRow::new(between.len());
    let mut far = InterpolatedRow::new(between.len());
    let mut pixels = Vec::with_capacity(between.len() * 3 * rows.kept.len());
    for y in rows.kept {
        let row = rows.axis.neighbours(y);
        if far.source == Some(row.near) {
            std::mem::swap(&mut near, &mut far);
        }
        near.fill(picture, row.near, &between);
        far.fill(picture, row.far, &between);
        let blend = |(near, far): (&i32, &i32)| {
            // OpenCV drops bits twice on the way; so must whoever wants its bytes.
            let near = (row.near_weight * (near >> 4)) >> 16;
            let far = (row.far_weight * (far >> 4)) >> 16;
            ((near + far + 2) >> 2) as u8
        };
        pixels.extend(near.values.iter().zip(&far.values).map(blend));
    }
    pixels
}

/// A source row interpolated across, in 1/2048.
struct InterpolatedRow {
    source: Option<usize>,
    values: Vec<i32>,
}

impl InterpolatedRow {
    fn new(width: usize) -> InterpolatedRow {
        InterpolatedRow { source: None, values: vec![0; width * 3] }
    }

    fn fill(&mut self, picture: &Picture, source: usize, between: &[Neighbours]) {
        if self.source == Some(source) {
            return;
        }
        self.source = Some(source);
        let row = picture.row(source);
        for (out, x) in self.values.chunks_exact_mut(3).zip(between) {
            for (channel, out) in out.iter_mut().enumerate() {
                let near = i32::from(row[x.near * 3 + channel]) * x.near_weight;
                *out = near + i32::from(row[x.far * 3 + channel]) * x.far_weight;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Reference values come from OpenCV 5.0 and this script:
    //!
    //! ```python
    //! import cv2, numpy as np
    //! def source(w, h):
    //!     x, y, c = np.meshgrid(np.arange(w), np.arange(h), np.arange(3))
    //!     return ((x * x * 7 + x * y * 13 + y * y * 3 + c * 85) % 256).astype(np.uint8)
    //! def fnv(pixels):
    //!     h = 0x811C9DC5
    //!     for byte in pixels.tobytes():
    //!         h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    //!     return h
    //! def area(w, h, dw, dh):
    //!     return cv2.resize(source(w, h), (dw, dh), interpolation=cv2.INTER_AREA)
    //! def fill(w, h, size):  # imutils.resize, the crop, the second resize
    //!     image, dw, dh = source(w, h), 0, 0
    //!     if w < h:
    //!         image = cv2.resize(image, (size, int(h * (size / w))), interpolation=cv2.INTER_AREA)
    //!         dh = int((image.shape[0] - size) / 2.0)
    //!     else:
    //!         image = cv2.resize(image, (int(w * (size / h)), size), interpolation=cv2.INTER_AREA)
    //!         dw = int((image.shape[1] - size) / 2.0)
    //!     image = image[dh:image.shape[0] - dh, dw:image.shape[1] - dw]
    //!     return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    //! ```
    use super::*;

    fn source(width: usize, height: usize) -> Picture {
        let value = |x: usize, y: usize, c: usize| ((x * x * 7 + x * y * 13 + y * y * 3 + c * 85) % 256) as u8;
        let pixels = (0..width * height * 3).map(|at| value(at / 3 % width, at / 3 / width, at % 3)).collect();
        Picture { width, height, pixels }
    }

    fn fnv(pixels: &[u8]) -> u32 {
        pixels.iter().fold(0x811C_9DC5, |hash: u32, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    }

    #[test]
    fn small_results_are_those_of_opencv() {
        // area(5, 4, 3, 2) and area(2, 2, 3, 4)
        let shrunk = resize_area(&source(5, 4), 3, 2);
        assert_eq!(shrunk.pixels, [7, 92, 177, 45, 130, 190, 117, 202, 82, 35, 120, 205, 115, 175, 80, 152, 109, 143]);
        let grown = resize_area(&source(2, 2), 3, 4);
        assert_eq!(
            grown.pixels,
            [
                0, 85, 170, 4, 89, 174, 7, 92, 177, 0, 85, 170, 4, 89, 174, 7, 92, 177, 3, 88, 173, 13, 98, 183, 23, 108, 193, 3, 88, 173,
                13, 98, 183, 23, 108, 193
            ]
        );
    }

    #[test]
    fn every_way_of_resizing_gives_the_bytes_of_opencv() {
        // fnv(area(w, h, dw, dh)): whole factors, other factors, growing, both at once, the same size.
        let expected = [
            (64, 48, 32, 24, 0x31b94745),
            (60, 45, 20, 15, 0x968973de),
            (64, 60, 16, 20, 0x404d3543),
            (100, 75, 64, 48, 0xcea9378c),
            (97, 61, 32, 32, 0xa48d43b6),
            (500, 374, 342, 256, 0xc216e46e),
            (30, 20, 64, 64, 0x6f46a08c),
            (10, 7, 23, 5, 0x7ae4245f),
            (40, 100, 64, 33, 0xdeb38fed),
            (33, 33, 33, 64, 0xf4e23db9),
            (1, 1, 4, 4, 0x95250b15),
            (5, 1, 3, 3, 0xba472964),
            (17, 9, 17, 9, 0x37ac51bc),
            (256, 256, 227, 227, 0xa3b8bce4),
            (228, 228, 227, 227, 0x0a8097b8),
            (128, 64, 64, 64, 0xc2501f45),
            (64, 64, 128, 32, 0xc3a6a9c5),
        ];
        for (width, height, to_width, to_height, hash) in expected {
            let resized = resize_area(&source(width, height), to_width, to_height);
            assert_eq!((resized.width, resized.height), (to_width, to_height));
            assert_eq!(fnv(&resized.pixels), hash, "{width}×{height} to {to_width}×{to_height}");
        }
    }

    #[test]
    fn filling_a_square_gives_the_bytes_of_the_book() {
        // fnv(fill(w, h, size)); 49, 161 and 187 are squares that the truncation makes a pixel too short.
        let expected = [
            (500, 374, 256, 0xb886eeeb),
            (374, 500, 256, 0x025b4537),
            (200, 200, 256, 0xcfe42ef2),
            (120, 59, 64, 0x518c1456),
            (59, 33, 64, 0x4b9734b4),
            (49, 49, 64, 0x652a433a),
            (161, 161, 64, 0x642171fd),
            (64, 64, 64, 0x5bc19d45),
            (103, 155, 256, 0x09060e49),
            (300, 88, 64, 0x49fd35bb),
            (187, 187, 256, 0xce9fc356),
        ];
        for (width, height, size, hash) in expected {
            let resized = resize_to_fill(&source(width, height), size);
            assert_eq!((resized.width, resized.height), (size, size));
            assert_eq!(fnv(&resized.pixels), hash, "{width}×{height} to {size}");
        }
    }

    #[test]
    fn extreme_proportions_need_no_more_memory_than_the_result() {
        // Scaled whole, this would be 256 × 15,360,000 pixels.
        let thin = Picture { width: 1, height: 60_000, pixels: vec![77; 180_000] };
        assert_eq!(resize_to_fill(&thin, 256).pixels, vec![77; 256 * 256 * 3]);
    }
}
