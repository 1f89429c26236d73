//! What a look at many files costs at the least: asking for each file's identity, reading and hashing each, and git's index.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, statat};
use walkdir::WalkDir;

use crate::error::BenchError;
use crate::measure;

/// Asks for the size and times of every file under a folder, in one thread, by names relative to open folders. Gives how many there are.
pub fn stat_walk(root: &Path) -> Result<usize, BenchError> {
    let failed = |error: rustix::io::Errno| BenchError::Io { path: root.to_owned(), source: error.into() };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut open = vec![openat(rustix::fs::CWD, root, flags, Mode::empty()).map_err(failed)?];
    let mut files = 0;
    while let Some(folder) = open.pop() {
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if entry.file_type() == rustix::fs::FileType::Directory {
                open.push(openat(&folder, name, flags, Mode::empty()).map_err(failed)?);
            } else {
                statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                files += 1;
            }
        }
    }
    Ok(files)
}

/// Lists a folder, and reads and hashes every file in it with BLAKE3, in two threads: what two processes of `b3sum --no-mmap` do.
pub fn hash_in_two_threads(root: &Path) -> Result<(), BenchError> {
    let files: Vec<PathBuf> = WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    let (one, other) = files.split_at(files.len() / 2);
    thread::scope(|scope| {
        let beside = scope.spawn(|| hash(one));
        hash(other)?;
        beside.join().map_err(|_| BenchError::Unexpected("a thread that hashes failed".to_owned()))?
    })
}

fn hash(files: &[PathBuf]) -> Result<(), BenchError> {
    let mut buffer = vec![0; 64 * 1024];
    for path in files {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(path).map_err(BenchError::at(path))?;
        loop {
            match file.read(&mut buffer).map_err(BenchError::at(path))? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            };
        }
        std::hint::black_box(hasher.finalize());
    }
    Ok(())
}

/// A repository over a folder, in a place beside it. It has the hashes of the files, not their content, which `git status` does not ask for.
pub struct Git {
    repository: PathBuf,
    tree: PathBuf,
}

impl Git {
    /// Takes the files as they are into a commit.
    pub fn of(tree: &Path, repository: &Path) -> Result<Git, BenchError> {
        let git = Git { repository: repository.to_owned(), tree: tree.to_owned() };
        if repository.exists() {
            fs::remove_dir_all(repository).map_err(BenchError::at(repository))?;
        }
        measure::run(&mut git.command("init --quiet"))?;
        // Files beside the images, the mark of a complete tree, are not looked for.
        git.shell("find . -name '*.jpg' -print0 | git update-index --add --info-only -z --stdin && git update-ref HEAD $(git -c user.name=x -c user.email=x@x commit-tree -m x $(git write-tree --missing-ok))")?;
        let exclude = repository.join("info").join("exclude");
        fs::write(&exclude, ".complete\n").map_err(BenchError::at(&exclude))?;
        git.status()?;
        Ok(git)
    }

    /// Seconds of `git status`.
    pub fn status(&self) -> Result<f64, BenchError> {
        Ok(measure::run(&mut self.command("status"))?.seconds)
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("git");
        self.in_place(command.args(arguments.split(' ')));
        command
    }

    fn shell(&self, script: &str) -> Result<(), BenchError> {
        let mut command = Command::new("sh");
        self.in_place(command.args(["-ec", script]).stdin(Stdio::null()));
        measure::run(&mut command).map(drop)
    }

    fn in_place(&self, command: &mut Command) {
        command
            .current_dir(&self.tree)
            .env("GIT_DIR", &self.repository)
            .env("GIT_WORK_TREE", &self.tree)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
    }
}
