//! The bits of a scan.

/// The bytes of a scan without those that were stuffed in, divided where the decoder starts anew.
pub(super) struct Intervals {
    bytes: Vec<u8>,
    /// Where each ends; it is followed by [`SPARE`] zeros.
    ends: Vec<usize>,
}

/// Reads bits, highest first.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// How many of the bytes are in the buffer or behind it.
    taken: usize,
    /// The next bits, from the highest on.
    buffer: u64,
    /// How many of the buffer's bits count.
    filled: u32,
}

/// Bytes behind an interval, so that it can be read eight bytes at a time.
const SPARE: usize = 8;

impl Intervals {
    /// Of what follows the header of a scan, up to the next marker that is none of a restart.
    pub(super) fn of_scan(scan: &[u8]) -> Intervals {
        let (mut bytes, mut ends) = (Vec::with_capacity(scan.len() + SPARE), Vec::new());
        let mut rest = scan;
        let mut end = |bytes: &mut Vec<u8>| {
            ends.push(bytes.len());
            bytes.extend([0; SPARE]);
        };
        while let Some(at) = memchr::memchr(0xFF, rest) {
            bytes.extend_from_slice(&rest[..at]);
            rest = &rest[at + 1..];
            match rest.first() {
                Some(0) => {
                    bytes.push(0xFF);
                    rest = &rest[1..];
                }
                Some(0xD0..=0xD7) => {
                    end(&mut bytes);
                    rest = &rest[1..];
                }
                // Fills up before a marker.
                Some(0xFF) => {}
                _ => break,
            }
        }
        end(&mut bytes);
        Intervals { bytes, ends }
    }

    /// The bits of every interval.
    pub(super) fn iter(&self) -> impl Iterator<Item = Bits<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + SPARE));
        starts.zip(&self.ends).map(|(start, end)| Bits { bytes: &self.bytes[start..end + SPARE], taken: 0, buffer: 0, filled: 0 })
    }
}

impl Bits<'_> {
    /// Sees to it that at least 56 bits are there; behind the end they are 0.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.bytes.get(self.taken..self.taken + 8).and_then(|bytes| bytes.first_chunk());
        self.buffer |= u64::from_be_bytes(*next.unwrap_or(&[0; 8])) >> self.filled;
        self.taken += (63 - self.filled as usize) / 8;
        self.filled |= 56;
    }

    /// The next `count` bits, at most 32 of those that are there.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> usize {
        (self.buffer >> 32 >> (32 - count)) as usize
    }

    /// Goes on by so many of the bits that are there.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.buffer <<= count;
        self.filled -= count;
    }

    /// `None` if more bits were read than there are.
    pub(super) fn not_overrun(&self) -> Option<()> {
        (self.taken * 8 - self.filled as usize <= (self.bytes.len() - SPARE) * 8).then_some(())
    }
}

/// The number that `count` bits, 0 to 15, stand for: the highest tells its sign (T.81, F.2.2.1).
pub(super) fn signed(bits: usize, count: u32) -> i16 {
    let is_negative = count > 0 && bits >> (count - 1) == 0;
    (bits as i32 - if is_negative { (1 << count) - 1 } else { 0 }) as i16
}
