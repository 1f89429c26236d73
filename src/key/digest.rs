//! The one hash of the project: BLAKE3, 32 bytes, written as lower-case hexadecimal.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hash};
use std::io::{self, Read};
use std::mem;
use std::path::Path;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The BLAKE3 digest of some content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-f]{64}$"))]
pub struct Digest([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a digest of 64 hexadecimal digits")]
pub struct ParseDigestError(String);

/// Some digests. They are spread evenly, so that a part of each serves as its hash.
pub type DigestSet = HashSet<Digest, BuildHasherDefault<FirstBytes>>;

/// See [`DigestSet`].
#[derive(Debug, Clone, Copy, Default)]
pub struct FirstBytes(u64);

/// Hashes a sequence of fields; each is preceded by its length, so that no two sequences run together.
#[derive(Debug, Clone)]
pub struct Hasher(blake3::Hasher);

/// Hashes content that comes piece by piece.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher(blake3::Hasher);

/// From this size on a file is hashed by all threads. It is read, not mapped: many small files are slower to map, and one that is cut
/// off meanwhile would end the program.
const LARGE_FILE: u64 = 2 * 1024 * 1024;

const BLOCK_SIZE: usize = 2 * 1024 * 1024;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The value of every digit, upper-case ones too; of any other byte a number above 15.
const VALUES: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        values[DIGITS[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

const READ_SIZE: usize = 64 * 1024;

thread_local! {
    /// Cleared once a thread, not once a file.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Digest {
    /// The digest of bytes in memory.
    pub fn of_bytes(bytes: &[u8]) -> Digest {
        Digest(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a file's content.
    pub fn of_file(path: &Path) -> io::Result<Digest> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Digest::of_open_file(&file, size)
    }

    /// The digest of the content of an open file that has this size.
    pub fn of_open_file(file: &File, size: u64) -> io::Result<Digest> {
        if size >= LARGE_FILE { Digest::of_large(file) } else { Digest::of_reader(file) }
    }

    /// Reads a block while all threads hash the one before.
    fn of_large(file: &File) -> io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        let (mut read, mut reading) = (vec![0; BLOCK_SIZE], vec![0; BLOCK_SIZE]);
        let mut filled = fill(file, &mut read)?;
        while filled > 0 {
            let hash = || {
                hasher.update_rayon(&read[..filled]);
            };
            let (next, ()) = rayon::join(|| fill(file, &mut reading), hash);
            filled = next?;
            mem::swap(&mut read, &mut reading);
        }
        Ok(Digest(*hasher.finalize().as_bytes()))
    }

    /// The digest of all that a reader gives.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Digest> {
        let mut hasher = ContentHasher::default();
        let mut buffer = BUFFER.take();
        buffer.resize(READ_SIZE, 0);
        loop {
            match reader.read(&mut buffer)? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        BUFFER.set(buffer);
        Ok(hasher.finish())
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Adds the 64 digits to a text.
    pub fn push_to(&self, text: &mut String) {
        let mut digits = [0; 64];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        }
        text.push_str(&String::from_utf8_lossy(&digits));
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl std::hash::Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(mut file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

impl Hasher {
    /// Starts a hash that belongs to one purpose, named by `domain`.
    pub fn new(domain: &str) -> Hasher {
        let mut hasher = Hasher(blake3::Hasher::new());
        hasher.field(domain.as_bytes());
        hasher
    }

    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Hasher {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The digest of everything added.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl ContentHasher {
    /// Adds what comes next.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all of it.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 32];
        // No digit has a value with the upper bits, so that one bad digit shows in all of them together.
        let mut seen = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (VALUES[usize::from(*high)], VALUES[usize::from(*low)]);
            seen |= high | low;
            *byte = high << 4 | (low & 15);
        }
        let is_digest = pairs.len() == bytes.len() && rest.is_empty() && seen < 16;
        if is_digest { Ok(Digest(bytes)) } else { Err(ParseDigestError(text.to_owned())) }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Digest, ParseDigestError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_blake3_and_nothing_else_is_a_digest() {
        for number in 0..100_u32 {
            let bytes = number.to_le_bytes();
            let digest = Digest::of_bytes(&bytes);
            let digits = blake3::hash(&bytes).to_hex().to_string();
            assert_eq!(digest.to_string(), digits);
            assert_eq!(digits.parse(), Ok(digest));
            assert_eq!(digits.to_ascii_uppercase().parse(), Ok(digest));
            let mut text = String::new();
            digest.push_to(&mut text);
            assert_eq!(text, digits);
        }
        let digits = "0".repeat(64);
        let bad = [&digits[1..], &format!("{digits}0"), &format!("{}g", &digits[1..]), &format!("g{}", &digits[1..]), ""];
        assert!(bad.iter().all(|text| text.parse::<Digest>().is_err()));
        assert!((0..64).all(|place| format!("{}-{}", &digits[..place], &digits[place + 1..]).parse::<Digest>().is_err()));
    }
}
