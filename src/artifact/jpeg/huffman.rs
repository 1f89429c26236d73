//! Huffman codes (T.81, annexes C and F): a number at a time, or as many as a look at the next bits tells of, passed over.

use super::bits::{Bits, signed};

/// A table of codes, looked up by the next bits.
#[derive(Clone)]
pub(super) struct Table {
    /// The number that the bits of a look begin with; of no length if they do not hold all of it.
    numbers: Box<[Number; LOOKS]>,
    /// What they hold of a block's rest, to be passed over.
    runs: Box<[Run; LOOKS]>,
    /// Of every length: the end of its codes, as the highest of 16 bits, and the index of a code's symbol less the code.
    lengths: [(u32, i32); 17],
    symbols: Vec<u8>,
}

/// A number with the code before it.
#[derive(Clone, Copy, Default)]
pub(super) struct Number {
    /// Of both.
    bits: u8,
    /// Frequencies of strength 0 before it, or [`END`].
    pub zeros: u8,
    pub value: i16,
}

/// Numbers that follow each other.
#[derive(Clone, Copy)]
struct Run {
    bits: u8,
    /// Frequencies that they stand for; [`END`] more if the last ends the block, [`UNKNOWN`] if there is none.
    frequencies: u8,
}

/// Bits of a look, and how many different ones there are.
const LOOK: u32 = 12;
const LOOKS: usize = 1 << LOOK;

/// No more frequencies of the block differ from 0.
pub(super) const END: u8 = 128;

/// As many as no look may tell of, for the mean is not among them.
const UNKNOWN: u8 = 64;

/// The symbol for 16 frequencies of strength 0.
const SIXTEEN: u8 = 0xF0;

impl Table {
    /// Of how many codes each length has, and their symbols in order. `None` if there are more codes than bits can tell apart.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Table> {
        // What a look begins with: a symbol and the length of its code; 0 for a longer one.
        let mut looks = [(0, 0); LOOKS];
        let mut lengths = [(0, 0); 17];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1..).zip(counts) {
            lengths[length as usize].1 = index as i32 - code as i32;
            let of_length = symbols.get(index..index + usize::from(*count))?;
            if code + u32::from(*count) > 1 << length {
                return None;
            }
            for symbol in of_length {
                if let Some(free) = LOOK.checked_sub(length) {
                    looks[(code << free) as usize..((code + 1) << free) as usize].fill((*symbol, length));
                }
                code += 1;
            }
            index += of_length.len();
            lengths[length as usize].0 = code << (16 - length);
            code <<= 1;
        }
        let numbers = Box::new(std::array::from_fn(|look| number(look, looks[look])));
        let runs = Box::new(std::array::from_fn(|look| run(look, &looks)));
        Some(Table { numbers, runs, lengths, symbols: symbols.to_vec() })
    }

    /// The next number, of 31 bits at most; `None` if no code is there.
    #[inline(always)]
    pub(super) fn number(&self, bits: &mut Bits<'_>) -> Option<Number> {
        let mut number = self.numbers[bits.peek(LOOK)];
        if number.bits == 0 {
            number = self.longer_number(bits.peek(32))?;
        }
        bits.skip(u32::from(number.bits));
        Some(number)
    }

    /// The number that 32 bits begin with.
    #[cold]
    fn longer_number(&self, next: usize) -> Option<Number> {
        let code = (next >> 16) as u32;
        let length = (1..=16).find(|length| code < self.lengths[*length as usize].0)?;
        let index = (code >> (16 - length)) as i32 + self.lengths[length as usize].1;
        let symbol = *self.symbols.get(usize::try_from(index).ok()?)?;
        let count = u32::from(symbol & 15);
        let value = signed((next >> (32 - length - count)) & ((1 << count) - 1), count);
        Some(Number { bits: (length + count) as u8, zeros: zeros(symbol), value })
    }

    /// Passes over the frequencies of a block from `next` (1–63) on; `None` if they are damaged.
    #[inline(always)]
    pub(super) fn skip_rest(&self, bits: &mut Bits<'_>, mut next: usize) -> Option<()> {
        while next < 64 {
            bits.refill();
            let mut run = self.runs[bits.peek(LOOK)];
            let mut after = next + usize::from(run.frequencies);
            if after < 64 {
                bits.skip(u32::from(run.bits));
                next = after;
                // Two looks take 54 bits at most.
                run = self.runs[bits.peek(LOOK)];
                after = next + usize::from(run.frequencies);
            }
            if after < 64 {
                bits.skip(u32::from(run.bits));
                next = after;
            } else if (usize::from(END)..usize::from(END) + 64).contains(&after) {
                bits.skip(u32::from(run.bits));
                return Some(());
            } else {
                // Near the end of a block a look may tell of the next one too.
                bits.refill();
                match self.number(bits)?.zeros {
                    END => return Some(()),
                    zeros => next += usize::from(zeros) + 1,
                }
            }
        }
        (next == 64).then_some(())
    }
}

/// What the symbol says of the frequencies before its number. One without a number ends the block, unless it is that for many zeros.
fn zeros(symbol: u8) -> u8 {
    if symbol & 15 == 0 && symbol != SIXTEEN { END } else { symbol >> 4 }
}

/// The number of a look that begins with a symbol, if all of it is there.
fn number(look: usize, (symbol, length): (u8, u32)) -> Number {
    let count = u32::from(symbol & 15);
    match LOOK.checked_sub(length + count) {
        Some(free) if length > 0 => {
            let value = signed((look >> free) & ((1 << count) - 1), count);
            Number { bits: (length + count) as u8, zeros: zeros(symbol), value }
        }
        _ => Number::default(),
    }
}

/// All numbers that a look tells of: the codes are there, and the bits of the last number are the next.
fn run(look: usize, looks: &[(u8, u32); LOOKS]) -> Run {
    let mut run = Run { bits: 0, frequencies: 0 };
    while let Some(there) = LOOK.checked_sub(u32::from(run.bits)) {
        let (symbol, length) = looks[(look << run.bits) % LOOKS];
        if length == 0 || length > there {
            break;
        }
        match zeros(symbol) {
            END => return Run { bits: run.bits + length as u8, frequencies: run.frequencies | END },
            zeros if run.frequencies + zeros + 1 >= UNKNOWN => break,
            zeros => run = Run { bits: run.bits + length as u8 + (symbol & 15), frequencies: run.frequencies + zeros + 1 },
        }
    }
    if run.bits == 0 { Run { bits: 0, frequencies: UNKNOWN } } else { run }
}
