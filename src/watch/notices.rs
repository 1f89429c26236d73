//! Notices of the file system that something may have changed. The only user of the library for them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Error, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Told as long as they live.
pub(super) struct Notices {
    /// Held, not used.
    watcher: Result<RecommendedWatcher, String>,
    /// The paths that changed; none if some notices were lost.
    told: Receiver<Vec<PathBuf>>,
}

/// File systems that other machines, or programs behind the kernel's back, change: NFS, SMB and CIFS, 9P, Ceph, AFS, Lustre, FUSE. The
/// numbers are those of statfs(2).
const REMOTE: [u64; 9] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f, 0x0bd0_0bd0, 0x6573_5546];

impl Notices {
    /// About folders, each alone or with all that is under it.
    pub fn about(folders: &BTreeMap<PathBuf, bool>) -> Notices {
        let (sender, told) = channel();
        Notices { watcher: watch(folders, sender), told }
    }

    /// None, for this reason.
    #[cfg(test)]
    pub fn none(reason: &str) -> Notices {
        Notices { watcher: Err(reason.to_owned()), told: channel().1 }
    }

    /// Why there are none.
    pub fn missing_because(&self) -> Option<&str> {
        self.watcher.as_ref().err().map(String::as_str)
    }

    /// Waits so long; whether something was told that concerns anyone.
    pub fn wait(&self, time: Duration, concern: impl Fn(&Path) -> bool) -> bool {
        let Ok(first) = self.told.recv_timeout(time) else {
            // Without a watcher nobody sends, and that takes no time.
            if self.watcher.is_err() {
                std::thread::sleep(time);
            }
            return false;
        };
        let concerns = |paths: Vec<PathBuf>| paths.is_empty() || paths.iter().any(|path| concern(path));
        std::iter::once(first).chain(self.told.try_iter()).any(concerns)
    }
}

fn watch(folders: &BTreeMap<PathBuf, bool>, sender: Sender<Vec<PathBuf>>) -> Result<RecommendedWatcher, String> {
    if let Some(folder) = folders.keys().find(|folder| is_remote(folder)) {
        return Err(format!("{} lies on a file system that does not tell what others change", folder.display()));
    }
    let hear = move |event: notify::Result<Event>| {
        let paths = match event {
            Ok(event) if event.need_rescan() => Vec::new(),
            Ok(event) if is_change(event.kind) && !event.paths.is_empty() => event.paths,
            Ok(_) => return,
            Err(_) => Vec::new(),
        };
        // Nobody listens any more if the watcher is being replaced.
        drop(sender.send(paths));
    };
    let mut watcher = notify::recommended_watcher(hear).map_err(|error| reason(&error))?;
    for (folder, with_all_under_it) in folders {
        let mode = if *with_all_under_it { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        match watcher.watch(folder, mode) {
            Err(error) if !is_gone(&error) => return Err(reason(&error)),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(watcher)
}

/// Runs read what is watched, which is no change.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

/// It was removed meanwhile; what it lies in is watched too.
fn is_gone(error: &Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

fn reason(error: &Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => "there are more folders than the system watches (fs.inotify.max_user_watches)".to_owned(),
        _ => format!("the system does not watch the files: {error}"),
    }
}

fn is_remote(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| REMOTE.contains(&(found.f_type as u64 & 0xffff_ffff)))
}
