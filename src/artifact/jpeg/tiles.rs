//! Means of tiles from the lowest frequencies of blocks, and colours of means.

use std::f64::consts::PI;

use image::RgbImage;

use super::BLOCK;
use super::bits::{Bits, Intervals};
use super::frame::{Component, Frame};
use super::huffman::{END, Number};

/// Which frequency comes when: rows of eight, each frequency down, with the frequencies across (T.81, figure 5).
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
    57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// What a frequency of strength 1 adds to the mean of a tile, by tile and frequency, along one axis.
type Weights = [[f32; BLOCK]; BLOCK];

/// How a component's blocks become means.
struct Plan<'a> {
    component: &'a Component,
    /// Blocks in a unit, across and down.
    blocks: (usize, usize),
    /// Tiles of a block, across and down.
    tiles: (usize, usize),
    weights: (Weights, Weights),
    read: ReadBlock,
}

/// Reads a block and writes the means of its tiles into the top left of `[H,W] u8`, whose rows have so many bytes. The number is the mean of
/// the block before, as it is coded, and becomes that of this one. `None` if the block is damaged.
type ReadBlock = fn(&Plan<'_>, &mut Bits<'_>, &mut i32, (&mut [u8], usize)) -> Option<()>;

/// A row of units on its way from bits to colours.
struct Stripe<'a> {
    plans: Vec<Plan<'a>>,
    /// Of every component the means: `[H,W] u8`.
    planes: Vec<Vec<u8>>,
    width: usize,
    /// Of every component the mean of the block before, as it is coded.
    before: Vec<i32>,
}

/// Decodes with `tiles` × `tiles` pixels for every block; `None` if the scan is damaged.
pub(super) fn decode(frame: &Frame<'_>, tiles: usize) -> Option<RgbImage> {
    let (across, down) = frame.sampling;
    let units = (frame.width.div_ceil(across * BLOCK), frame.height.div_ceil(down * BLOCK));
    // Rounded, so that the picture is hardly stretched by a tile that has little of it.
    let smaller = |side: usize| ((side * tiles + BLOCK / 2) / BLOCK).max(1);
    let (width, height) = (smaller(frame.width), smaller(frame.height));
    let mut stripe = Stripe::new(frame, tiles, units.0 * across * tiles)?;
    let mut pixels = Vec::with_capacity(width * height * 3);
    let intervals = Intervals::of_scan(frame.scan);
    let mut intervals = intervals.iter();
    let mut bits = intervals.next()?;
    for row in 0..units.1 {
        for column in 0..units.0 {
            let unit = row * units.0 + column;
            // An interval of 0 has no multiple but 0.
            if unit != 0 && unit.is_multiple_of(frame.restart_interval) {
                bits.not_overrun()?;
                bits = intervals.next()?;
                stripe.before.fill(0);
            }
            stripe.read_unit(&mut bits, column)?;
        }
        bits.not_overrun()?;
        let rows = (down * tiles).min(height - row * down * tiles);
        (0..rows).for_each(|y| stripe.colour(y * stripe.width..y * stripe.width + width, &mut pixels));
    }
    RgbImage::from_raw(width as u32, height as u32, pixels)
}

impl<'a> Stripe<'a> {
    fn new(frame: &'a Frame<'_>, tiles: usize, width: usize) -> Option<Stripe<'a>> {
        let first = std::iter::once(frame.sampling).chain(std::iter::repeat((1, 1)));
        let plans = frame.components.iter().zip(first).map(|(component, blocks)| Plan::new(component, blocks, frame.sampling, tiles));
        let plans: Vec<Plan<'_>> = plans.collect::<Option<_>>()?;
        let planes = vec![vec![0; width * frame.sampling.1 * tiles]; plans.len()];
        Some(Stripe { before: vec![0; plans.len()], plans, planes, width })
    }

    /// Reads the blocks of the unit in a column.
    #[inline(always)]
    fn read_unit(&mut self, bits: &mut Bits<'_>, column: usize) -> Option<()> {
        for ((plan, plane), before) in self.plans.iter().zip(&mut self.planes).zip(&mut self.before) {
            for down in 0..plan.blocks.1 {
                for across in 0..plan.blocks.0 {
                    let at = down * plan.tiles.1 * self.width + (column * plan.blocks.0 + across) * plan.tiles.0;
                    (plan.read)(plan, bits, before, (plane.get_mut(at..)?, self.width))?;
                }
            }
        }
        Some(())
    }

    /// Appends the colours of some means.
    fn colour(&self, range: std::ops::Range<usize>, pixels: &mut Vec<u8>) {
        match &self.planes[..] {
            [y, cb, cr] => colours([&y[range.clone()], &cb[range.clone()], &cr[range]], pixels),
            planes => planes.iter().for_each(|grey| pixels.extend(grey[range.clone()].iter().flat_map(|grey| [*grey; 3]))),
        }
    }
}

impl<'a> Plan<'a> {
    /// `sampling` is how many blocks of the component with the most are in a unit.
    fn new(component: &'a Component, blocks: (usize, usize), sampling: (usize, usize), tiles: usize) -> Option<Plan<'a>> {
        // A block that stands for more pixels has more tiles, so that all components have equally many.
        let tiles = (tiles * sampling.0 / blocks.0, tiles * sampling.1 / blocks.1);
        let weights = (weights(tiles.0), weights(tiles.1));
        Some(Plan { component, blocks, tiles, weights, read: read_block_of(tiles)? })
    }
}

/// The weights of a side's tiles, of which there are `tiles`: 1, 2, 4 or 8.
fn weights(tiles: usize) -> Weights {
    let mut weights = [[0.0; BLOCK]; BLOCK];
    let pixels = BLOCK / tiles;
    for (tile, weights) in weights.iter_mut().enumerate().take(tiles) {
        for (frequency, weight) in weights.iter_mut().enumerate().take(tiles) {
            let wave = |pixel: usize| ((2 * pixel + 1) as f64 * frequency as f64 * PI / 16.0).cos();
            let sum: f64 = (tile * pixels..(tile + 1) * pixels).map(wave).sum();
            let factor = if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
            *weight = (sum / pixels as f64 * factor / 2.0) as f32;
        }
    }
    weights
}

/// The code for so many tiles, across and down.
fn read_block_of(tiles: (usize, usize)) -> Option<ReadBlock> {
    Some(match tiles {
        (1, 1) => read_block::<1, 1>,
        (1, 2) => read_block::<1, 2>,
        (2, 1) => read_block::<2, 1>,
        (2, 2) => read_block::<2, 2>,
        (2, 4) => read_block::<2, 4>,
        (4, 2) => read_block::<4, 2>,
        (4, 4) => read_block::<4, 4>,
        _ => return None,
    })
}

fn read_block<const ACROSS: usize, const DOWN: usize>(
    plan: &Plan<'_>,
    bits: &mut Bits<'_>,
    before: &mut i32,
    (out, row): (&mut [u8], usize),
) -> Option<()> {
    let Component { quantization, means, frequencies } = plan.component;
    // Of its own, so that it stays in registers.
    let mut bits_here = *bits;
    let mut block = [[0.0; BLOCK]; DOWN];
    bits_here.refill();
    *before = before.wrapping_add(i32::from(means.number(&mut bits_here)?.value));
    block[0][0] = *before as f32 * quantization[0];
    let mut next = 1;
    while next < const { frequencies_of(ACROSS, DOWN) } {
        bits_here.refill();
        let Number { zeros, value, .. } = frequencies.number(&mut bits_here)?;
        if zeros == END {
            next = 64;
            break;
        }
        next += usize::from(zeros);
        // Those between which count are decoded too.
        if let Some(strength) = block.as_flattened_mut().get_mut(*ZIGZAG.get(next)?) {
            *strength = f32::from(value) * quantization[next];
        }
        next += 1;
    }
    frequencies.skip_rest(&mut bits_here, next)?;
    *bits = bits_here;
    write_means::<ACROSS, DOWN>(&plan.weights, &block, out, row);
    Some(())
}

/// How many frequencies, in zigzag order, have all that count for so many tiles.
const fn frequencies_of(across: usize, down: usize) -> usize {
    let mut count = 64;
    while ZIGZAG[count - 1] % BLOCK >= across || ZIGZAG[count - 1] / BLOCK >= down {
        count -= 1;
    }
    count
}

#[inline(always)]
fn write_means<const ACROSS: usize, const DOWN: usize>(
    (across, down): &(Weights, Weights),
    block: &[[f32; BLOCK]; DOWN],
    out: &mut [u8],
    row: usize,
) {
    let mut rows = [[0.0; ACROSS]; DOWN];
    for (means, frequencies) in rows.iter_mut().zip(block) {
        for (mean, weights) in means.iter_mut().zip(across) {
            *mean = (0..ACROSS).map(|frequency| frequencies[frequency] * weights[frequency]).sum();
        }
    }
    for (out, weights) in out.chunks_mut(row).zip(down).take(DOWN) {
        for (x, byte) in out.iter_mut().enumerate().take(ACROSS) {
            let mean: f32 = (0..DOWN).map(|frequency| rows[frequency][x] * weights[frequency]).sum();
            // Numbers beyond a byte become its ends.
            *byte = (mean + 128.5) as u8;
        }
    }
}

/// RGB from Y, Cb and Cr, as JFIF has them.
fn colours([y, cb, cr]: [&[u8]; 3], pixels: &mut Vec<u8>) {
    let start = pixels.len();
    pixels.resize(start + y.len() * 3, 0);
    let out = pixels[start..].as_chunks_mut::<3>().0;
    for (pixel, ((y, cb), cr)) in out.iter_mut().zip(y.iter().zip(cb).zip(cr)) {
        let (y, cb, cr) = (f32::from(*y) + 0.5, f32::from(*cb) - 128.0, f32::from(*cr) - 128.0);
        *pixel = [(y + 1.402 * cr) as u8, (y - 0.344_136 * cb - 0.714_136 * cr) as u8, (y + 1.772 * cb) as u8];
    }
}
