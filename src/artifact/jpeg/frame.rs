//! What stands before the pixels of a JPEG: size, components, tables.

use super::huffman::Table;

/// A baseline JPEG up to its pixels.
pub(super) struct Frame<'a> {
    pub width: usize,
    pub height: usize,
    /// One for grey, three for Y, Cb and Cr.
    pub components: Vec<Component>,
    /// Blocks of the first component in a unit, across and down: 1 or 2. The others have one.
    pub sampling: (usize, usize),
    /// Units until the decoder starts anew; 0 for never.
    pub restart_interval: usize,
    /// What follows the header of the scan.
    pub scan: &'a [u8],
}

/// One colour of every pixel.
pub(super) struct Component {
    /// What the strengths of frequencies are multiplied with, in zigzag order.
    pub quantization: [f32; 64],
    /// Codes of the means' differences.
    pub means: Table,
    /// Codes of the other frequencies.
    pub frequencies: Table,
}

/// Tables as they are met, by number.
#[derive(Default)]
struct Tables {
    quantization: [Option<[f32; 64]>; 4],
    means: [Option<Table>; 4],
    frequencies: [Option<Table>; 4],
}

/// A component as the frame describes it.
#[derive(Clone, Copy)]
struct Described {
    id: u8,
    sampling: (u8, u8),
    quantization: usize,
}

/// The frame's own segment.
struct Size {
    width: usize,
    height: usize,
    components: Vec<Described>,
}

const BASELINE: u8 = 0xC0;
const EXTENDED: u8 = 0xC1;
const HUFFMAN_TABLES: u8 = 0xC4;
const START_OF_IMAGE: u8 = 0xD8;
const START_OF_SCAN: u8 = 0xDA;
const QUANTIZATION_TABLES: u8 = 0xDB;
const RESTART_INTERVAL: u8 = 0xDD;
const ADOBE: u8 = 0xEE;

/// Application data, comments: nothing of them is needed.
const INDIFFERENT: [std::ops::RangeInclusive<u8>; 2] = [0xE0..=0xEF, 0xFE..=0xFE];

impl<'a> Frame<'a> {
    /// `None` for what the decoder of tiles cannot read.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let mut rest = bytes.strip_prefix(&[0xFF, START_OF_IMAGE])?;
        let (mut tables, mut size, mut restart_interval) = (Tables::default(), None, 0);
        loop {
            let (marker, segment, after) = next_segment(rest)?;
            rest = after;
            match marker {
                BASELINE | EXTENDED if size.is_none() => size = Some(Size::read(segment)?),
                HUFFMAN_TABLES => tables.read_huffman(segment)?,
                QUANTIZATION_TABLES => tables.read_quantization(segment)?,
                RESTART_INTERVAL => restart_interval = usize::from(u16::from_be_bytes(segment.try_into().ok()?)),
                ADOBE if !is_ycc(segment) => return None,
                START_OF_SCAN => return size?.with_scan(segment, &tables, restart_interval, rest),
                other if INDIFFERENT.iter().any(|markers| markers.contains(&other)) => {}
                _ => return None,
            }
        }
    }
}

/// The marker, what it leads, and what follows.
fn next_segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let bytes = bytes.strip_prefix(&[0xFF])?;
    // Any number of these may stand before a marker.
    let filled = bytes.iter().position(|byte| *byte != 0xFF)?;
    let (marker, rest) = bytes[filled..].split_first()?;
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    Some((*marker, rest.get(2..length)?, rest.get(length..)?))
}

/// Whether Adobe's segment, if it is one, says that the colours are Y, Cb and Cr.
fn is_ycc(segment: &[u8]) -> bool {
    !segment.starts_with(b"Adobe") || segment.get(11) == Some(&1)
}

impl Size {
    fn read(segment: &[u8]) -> Option<Size> {
        let [8, h0, h1, w0, w1, count, rest @ ..] = segment else { return None };
        let described =
            |bytes: &[u8; 3]| Described { id: bytes[0], sampling: (bytes[1] >> 4, bytes[1] & 15), quantization: usize::from(bytes[2]) };
        let components: Vec<Described> = rest.as_chunks::<3>().0.iter().map(described).collect();
        let (width, height) = (usize::from(u16::from_be_bytes([*w0, *w1])), usize::from(u16::from_be_bytes([*h0, *h1])));
        let is_whole = width > 0 && height > 0 && components.len() == usize::from(*count);
        (is_whole && components.iter().map(|component| component.id).ne(*b"RGB")).then_some(Size { width, height, components })
    }

    /// Blocks of the first component in a unit, if they are as usual.
    fn sampling(&self) -> Option<(usize, usize)> {
        match &self.components[..] {
            // A unit of a single component is a block, whatever it says.
            [_] => Some((1, 1)),
            [first, second, third] if second.sampling == (1, 1) && third.sampling == (1, 1) => {
                let (across, down) = first.sampling;
                let is_usual = (1..=2).contains(&across) && (1..=2).contains(&down);
                is_usual.then_some((usize::from(across), usize::from(down)))
            }
            _ => None,
        }
    }

    fn with_scan<'a>(self, segment: &[u8], tables: &Tables, restart_interval: usize, scan: &'a [u8]) -> Option<Frame<'a>> {
        let sampling = self.sampling()?;
        let (count, rest) = segment.split_first()?;
        // All components at once, in their order, and all frequencies.
        let (chosen, [0, 63, 0]) = rest.split_at_checked(2 * self.components.len())? else { return None };
        let components = self.components.iter().zip(chosen.as_chunks::<2>().0).map(|(described, [id, numbers])| {
            let table = |tables: &[Option<Table>; 4], number: u8| tables.get(usize::from(number))?.clone();
            (described.id == *id).then_some(())?;
            Some(Component {
                quantization: (*tables.quantization.get(described.quantization)?)?,
                means: table(&tables.means, numbers >> 4)?,
                frequencies: table(&tables.frequencies, numbers & 15)?,
            })
        });
        let components: Vec<Component> = components.collect::<Option<_>>()?;
        let Size { width, height, .. } = self;
        (usize::from(*count) == components.len()).then_some(Frame { width, height, components, sampling, restart_interval, scan })
    }
}

impl Tables {
    fn read_quantization(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = segment.split_first() {
            let bytes_each = 1 + usize::from(kind >> 4);
            let (values, after) = rest.split_at_checked(64 * bytes_each)?;
            let value = |bytes: &[u8]| bytes.iter().fold(0.0, |value, byte| value * 256.0 + f32::from(*byte));
            let mut table = [0.0; 64];
            table.iter_mut().zip(values.chunks_exact(bytes_each)).for_each(|(place, bytes)| *place = value(bytes));
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(table);
            segment = after;
        }
        Some(())
    }

    fn read_huffman(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, after) = rest.split_at_checked(counts.iter().map(|count| usize::from(*count)).sum())?;
            let tables = match kind >> 4 {
                0 => &mut self.means,
                1 => &mut self.frequencies,
                _ => return None,
            };
            *tables.get_mut(usize::from(kind & 15))? = Some(Table::new(counts, symbols)?);
            segment = after;
        }
        Some(())
    }
}
