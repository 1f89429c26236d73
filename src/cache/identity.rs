//! What the file system says of a file without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use rustix::fs::Stat;

use crate::stage::FoundFile;

/// If none of these changed, neither did the content; but see [`FileIdentity::is_settled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// Nanoseconds since 1970; changed by every write, and not to be set by users.
    pub ctime: i64,
}

/// Two changes within this time may leave the same time stamp: kernels stamp files with a clock that ticks.
const TICK: i64 = 20_000_000;

const SECOND: i64 = 1_000_000_000;

impl FileIdentity {
    /// The identity of the file that `path` leads to.
    pub fn of(path: &Path) -> io::Result<FileIdentity> {
        Ok(FileIdentity::from_metadata(&fs::metadata(path)?))
    }

    pub(super) fn from_metadata(metadata: &Metadata) -> FileIdentity {
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mtime: metadata.mtime().saturating_mul(SECOND).saturating_add(metadata.mtime_nsec()),
            ctime: metadata.ctime().saturating_mul(SECOND).saturating_add(metadata.ctime_nsec()),
        }
    }

    /// The identity of a file in an open folder.
    pub fn of_found(file: &FoundFile<'_>) -> io::Result<FileIdentity> {
        Ok(FileIdentity::from_stat(&file.stat()?))
    }

    fn from_stat(stat: &Stat) -> FileIdentity {
        let nanoseconds = |seconds: i64, rest: u64| seconds.saturating_mul(SECOND).saturating_add(rest.cast_signed());
        FileIdentity {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Whether a later change is sure to show: the last one lies at least a tick before `now`, in nanoseconds since 1970.
    /// A time stamp from the future, after a step of the clock, is not settled either.
    pub(super) fn is_settled(&self, now: i64) -> bool {
        self.ctime.max(self.mtime) < now - TICK
    }
}

/// Nanoseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a file may change within the tick in which it is read, and only the clock tells")]
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
