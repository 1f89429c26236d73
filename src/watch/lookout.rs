//! Waiting until what runs read has other content than before.

use std::time::{Duration, Instant};

use crate::cache::Memo;
use crate::event::{SourceChange, SourceCounts};
use crate::watch::Sources;
use crate::watch::notices::Notices;
use crate::watch::sources::Contents;

/// How long nothing may happen until a change counts as complete, so that a copy of many files is one change.
const QUIET: Duration = Duration::from_millis(300);

/// How often it is asked whether to go on waiting.
const MOMENT: Duration = Duration::from_millis(50);

/// How long files are left alone without notices, at least; and how many times as long as it takes to look at them.
const INTERVAL: Duration = Duration::from_secs(2);
const SHARE: u32 = 20;

/// Knows what was there when it last looked.
pub struct Lookout {
    sources: Sources,
    contents: Contents,
    notices: Notices,
    /// Something happened that was not looked at yet.
    woken: bool,
    /// How long it took to look.
    took: Duration,
}

impl Lookout {
    /// Looks at sources that were just loaded; what changes from now on, or has since they were loaded, will be told.
    pub fn new(sources: Sources, memo: &Memo) -> Lookout {
        let notices = Notices::about(&sources.folders());
        Lookout::with_notices(sources, notices, memo)
    }

    fn with_notices(sources: Sources, notices: Notices, memo: &Memo) -> Lookout {
        let started = Instant::now();
        let now = sources.read(memo);
        let took = started.elapsed();
        let contents = sources.as_loaded(now.clone());
        Lookout { woken: contents != now, sources, contents, notices, took }
    }

    /// How much it looks at.
    pub fn counts(&self) -> SourceCounts {
        self.contents.counts()
    }

    /// Why it looks again and again, if it does: there are no notices of changes.
    pub fn polls_because(&self) -> Option<&str> {
        self.notices.missing_because()
    }

    /// Waits for the next change; `None` if it `is_over` before. No changes are those of files that were touched and have the same
    /// content.
    pub fn next_change(&mut self, memo: &Memo, is_over: &dyn Fn() -> bool) -> Option<Vec<SourceChange>> {
        loop {
            let now = match self.polls_because() {
                None => self.after_notice(memo, is_over)?,
                Some(_) => self.after_a_while(memo, is_over)?,
            };
            self.woken = false;
            let changes = now.changes_from(&self.contents);
            self.contents = now;
            if !changes.is_empty() || self.polls_because().is_none() {
                return Some(changes);
            }
        }
    }

    /// What is there when a notice came and no further one followed for a while.
    fn after_notice(&mut self, memo: &Memo, is_over: &dyn Fn() -> bool) -> Option<Contents> {
        let mut quiet_since = Instant::now();
        while !self.woken || quiet_since.elapsed() < QUIET {
            if is_over() {
                return None;
            }
            if self.notices.wait(MOMENT, |path| self.sources.concern(path)) {
                self.woken = true;
                quiet_since = Instant::now();
            }
        }
        Some(self.sources.read(memo))
    }

    /// What is there after a while, when it is the same for a moment.
    fn after_a_while(&mut self, memo: &Memo, is_over: &dyn Fn() -> bool) -> Option<Contents> {
        let mut pause = if self.woken { QUIET } else { INTERVAL.max(self.took * SHARE) };
        let mut before = None;
        loop {
            let until = Instant::now() + pause;
            while Instant::now() < until {
                if is_over() {
                    return None;
                }
                self.notices.wait(MOMENT, |_| true);
            }
            let started = Instant::now();
            let now = self.sources.read(memo);
            self.took = started.elapsed();
            if now == self.contents || before.as_ref() == Some(&now) {
                return Some(now);
            }
            pause = QUIET;
            before = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::cache::{Cache, Project};
    use crate::event::SourceChangeKind;
    use crate::manifest;
    use crate::plan::Plan;

    const MANIFEST: &str = "stages: { pack: { kind: pack, images: images, size: 8 } }";

    struct Watched {
        folder: tempfile::TempDir,
        cache: Cache,
    }

    impl Watched {
        fn new() -> Watched {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("images/a")).unwrap();
            fs::write(folder.path().join("images/a/1.png"), "1").unwrap();
            fs::write(folder.path().join("m.yaml"), MANIFEST).unwrap();
            let cache = Cache::open(&folder.path().join(".packtrain")).unwrap();
            Watched { folder, cache }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn sources(&self) -> Sources {
            let family = manifest::load("m.yaml".as_ref(), &[], self.folder.path()).unwrap();
            let plans: Vec<Plan<'_>> = family.variants.iter().map(Plan::new).collect();
            Sources::of(&family, &plans, &Project::of(self.folder.path(), None), [])
        }

        fn next(&self, lookout: &mut Lookout) -> Vec<SourceChange> {
            let deadline = Instant::now() + Duration::from_secs(60);
            lookout.next_change(self.cache.memo(), &|| Instant::now() > deadline).expect("it was to be seen within a minute")
        }

        fn change(&self, path: &str, how: SourceChangeKind, files: u64) -> SourceChange {
            SourceChange { path: self.path(path), how, files }
        }
    }

    #[test]
    fn without_notices_changes_are_found_by_looking() {
        let watched = Watched::new();
        let notices = Notices::none("the disk is far away");
        let mut lookout = Lookout::with_notices(watched.sources(), notices, watched.cache.memo());
        assert_eq!(lookout.polls_because(), Some("the disk is far away"));
        for name in ["images/a/2.png", "images/a/3.png", "images/a/no-image.txt", "images/.hidden.png"] {
            fs::write(watched.path(name), name).unwrap();
        }
        assert_eq!(watched.next(&mut lookout), [watched.change("images", SourceChangeKind::Added, 2)]);
        fs::write(watched.path("images/a/1.png"), "1").unwrap();
        fs::remove_file(watched.path("images/a/3.png")).unwrap();
        assert_eq!(watched.next(&mut lookout), [watched.change("images/a/3.png", SourceChangeKind::Removed, 1)]);
        assert_eq!(lookout.next_change(watched.cache.memo(), &|| true), None);
    }

    #[test]
    fn what_changed_between_loading_and_looking_is_told() {
        let watched = Watched::new();
        let sources = watched.sources();
        fs::write(watched.path("m.yaml"), "name: other").unwrap();
        let mut lookout = Lookout::new(sources, watched.cache.memo());
        assert_eq!(watched.next(&mut lookout), [watched.change("m.yaml", SourceChangeKind::Changed, 1)]);
    }

    #[test]
    fn a_folder_that_is_replaced_is_still_watched() {
        let watched = Watched::new();
        let mut lookout = Lookout::new(watched.sources(), watched.cache.memo());
        fs::rename(watched.path("images"), watched.path("old")).unwrap();
        assert_eq!(watched.next(&mut lookout), [watched.change("images/a/1.png", SourceChangeKind::Removed, 1)]);
        fs::create_dir(watched.path("new")).unwrap();
        fs::write(watched.path("new/2.png"), "2").unwrap();
        fs::rename(watched.path("new"), watched.path("images")).unwrap();
        assert_eq!(watched.next(&mut lookout), [watched.change("images/2.png", SourceChangeKind::Added, 1)]);
        assert_eq!(lookout.counts(), SourceCounts { manifests: 1, files: 0, folders: 1, files_in_folders: 1 });
    }
}
