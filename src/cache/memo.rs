//! The digests of files that were read before, by the file's identity, so that an unchanged file is not read again.
//!
//! The file is a sorted table of fixed-size entries with a digest of itself at the end: it is read in one go, and one
//! that is cut off or damaged counts as empty. An entry is only kept if its file had settled when it was read (see
//! [`FileIdentity`]), as git's index does with its racy entries.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::{fs, io};

use crate::cache::identity::now;
use crate::cache::store::replace;
use crate::cache::{CacheError, FileIdentity};
use crate::key::Digest;
use crate::stage::FoundFile;

/// The memo of one state folder. Shared between threads.
#[derive(Debug)]
pub struct Memo {
    path: PathBuf,
    /// As read, at the latest when it is first asked.
    known: MemoAhead,
    /// Since then.
    fresh: Mutex<HashMap<(u64, u64), Entry>>,
}

/// What a memo is read into, maybe ahead of the cache that it belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct MemoAhead(Arc<OnceLock<Table>>);

/// The bytes of a memo's file, whose entries are sorted by device and inode.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    identity: FileIdentity,
    digest: Digest,
}

const MAGIC: &[u8; 16] = b"packtrain memo 1";
const ENTRY_SIZE: usize = 5 * 8 + 32;

impl Memo {
    pub(super) fn open(path: PathBuf, known: MemoAhead) -> Memo {
        Memo { path, known, fresh: Mutex::new(HashMap::new()) }
    }

    /// Whether the file that it is kept in can be read, if there is one.
    pub(super) fn is_sound(&self) -> bool {
        fs::read(&self.path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |bytes| Table::parse(bytes).is_some())
    }

    /// The digest of a file and the identity that it had before it was read.
    pub fn digest(&self, path: &Path) -> io::Result<(Digest, FileIdentity)> {
        self.known_or_read(FileIdentity::of(path)?, || File::open(path))
    }

    /// As [`Memo::digest`], of a file in an open folder.
    pub fn digest_found(&self, file: &FoundFile<'_>) -> io::Result<(Digest, FileIdentity)> {
        self.known_or_read(FileIdentity::of_found(file)?, || file.open())
    }

    fn known_or_read(&self, identity: FileIdentity, open: impl FnOnce() -> io::Result<File>) -> io::Result<(Digest, FileIdentity)> {
        if let Some(digest) = self.lookup(&identity) {
            return Ok((digest, identity));
        }
        let file = open()?;
        // The file may be another one by now.
        let identity = FileIdentity::from_metadata(&file.metadata()?);
        let started = now();
        let digest = Digest::of_open_file(&file, identity.size)?;
        if identity.is_settled(started) {
            self.insert(Entry { identity, digest });
        }
        Ok((digest, identity))
    }

    /// Remembers the digest of a file that only packtrain writes, which has therefore settled.
    pub(super) fn remember(&self, path: &Path, digest: Digest) -> io::Result<()> {
        self.insert(Entry { identity: FileIdentity::of(path)?, digest });
        Ok(())
    }

    /// Writes the memo if anything was learnt. It need not outlive a power cut: one that is cut off counts as empty.
    pub fn save(&self) -> Result<(), CacheError> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.is_empty() {
            return Ok(());
        }
        let kept = self.known().entries().iter().map(Entry::read).filter(|entry| !fresh.contains_key(&entry.place()));
        let mut all: Vec<Entry> = kept.chain(fresh.values().copied()).collect();
        all.sort_unstable_by_key(Entry::place);
        replace(&self.path, &serialize(&all))
    }

    fn known(&self) -> &Table {
        self.known.read(&self.path)
    }

    fn lookup(&self, identity: &FileIdentity) -> Option<Digest> {
        let place = (identity.device, identity.inode);
        let digest = |entry: Entry| (entry.identity == *identity).then_some(entry.digest);
        // What was read is asked first, without a lock: of one identity there is only one digest.
        let known = self.known().find(place).and_then(digest);
        known.or_else(|| self.fresh.lock().unwrap_or_else(PoisonError::into_inner).get(&place).copied().and_then(digest))
    }

    fn insert(&self, entry: Entry) {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.place(), entry);
    }
}

impl MemoAhead {
    /// Reads the memo's file, unless that was done.
    pub(super) fn read(&self, path: &Path) -> &Table {
        self.0.get_or_init(|| Table::read(path))
    }
}

impl Table {
    /// Empty if there is no sound one.
    fn read(path: &Path) -> Table {
        fs::read(path).ok().and_then(Table::parse).unwrap_or_default()
    }

    fn parse(bytes: Vec<u8>) -> Option<Table> {
        let (content, digest) = bytes.split_last_chunk::<32>()?;
        let (_, rest) = content.strip_prefix(MAGIC)?.as_chunks::<ENTRY_SIZE>();
        (rest.is_empty() && Digest::of_bytes(content) == Digest::from(*digest)).then_some(Table(bytes))
    }

    fn entries(&self) -> &[[u8; ENTRY_SIZE]] {
        let content = self.0.split_last_chunk::<32>().and_then(|(content, _)| content.strip_prefix(MAGIC));
        content.map_or(&[][..], |content| content.as_chunks().0)
    }

    /// The entry of a device and an inode.
    fn find(&self, place: (u64, u64)) -> Option<Entry> {
        let entries = self.entries();
        let index = entries.binary_search_by_key(&place, |bytes| Entry::words(bytes, [0, 1]).into()).ok()?;
        Some(Entry::read(&entries[index]))
    }
}

impl Entry {
    fn place(&self) -> (u64, u64) {
        (self.identity.device, self.identity.inode)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let FileIdentity { device, inode, size, mtime, ctime } = self.identity;
        for number in [device, inode, size, mtime.cast_unsigned(), ctime.cast_unsigned()] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.digest.as_bytes());
    }

    fn read(bytes: &[u8; ENTRY_SIZE]) -> Entry {
        let [device, inode, size, mtime, ctime] = Entry::words(bytes, [0, 1, 2, 3, 4]);
        let identity = FileIdentity { device, inode, size, mtime: mtime.cast_signed(), ctime: ctime.cast_signed() };
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[40..]);
        Entry { identity, digest: digest.into() }
    }

    fn words<const N: usize>(bytes: &[u8; ENTRY_SIZE], at: [usize; N]) -> [u64; N] {
        let (words, _) = bytes.as_chunks::<8>();
        at.map(|index| u64::from_le_bytes(words[index]))
    }
}

fn serialize(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + entries.len() * ENTRY_SIZE + 32);
    bytes.extend(MAGIC);
    entries.iter().for_each(|entry| entry.write(&mut bytes));
    let digest = Digest::of_bytes(&bytes);
    bytes.extend(digest.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn old_file(folder: &Path, content: &str) -> PathBuf {
        let path = folder.join("file");
        fs::write(&path, content).unwrap();
        std::thread::sleep(Duration::from_millis(40));
        path
    }

    #[test]
    fn a_memo_remembers_across_runs_and_notices_every_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = old_file(folder.path(), "one");
        let memo = Memo::open(folder.path().join("index"), MemoAhead::default());
        let (one, _) = memo.digest(&file).unwrap();
        memo.save().unwrap();

        let memo = Memo::open(folder.path().join("index"), MemoAhead::default());
        assert_eq!(memo.lookup(&FileIdentity::of(&file).unwrap()), Some(one));

        fs::write(&file, "two").unwrap();
        let mtime = UNIX_EPOCH + Duration::from_secs(3600);
        File::options().write(true).open(&file).unwrap().set_modified(mtime).unwrap();
        assert_eq!(memo.digest(&file).unwrap().0, Digest::of_bytes(b"two"), "an older mtime and the same size hide nothing");
    }

    #[test]
    fn a_file_that_was_just_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "one").unwrap();
        let memo = Memo::open(folder.path().join("index"), MemoAhead::default());
        memo.digest(&file).unwrap();
        assert_eq!(memo.lookup(&FileIdentity::of(&file).unwrap()), None);
    }

    #[test]
    fn a_damaged_memo_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = old_file(folder.path(), "one");
        let index = folder.path().join("index");
        let memo = Memo::open(index.clone(), MemoAhead::default());
        memo.digest(&file).unwrap();
        memo.save().unwrap();
        let intact = fs::read(&index).unwrap();
        for position in 0..intact.len() {
            let mut bytes = intact.clone();
            bytes[position] ^= 1;
            assert!(Table::parse(bytes.clone()).is_none());
            assert!(Table::parse(intact[..position].to_vec()).is_none());
        }
    }
}
