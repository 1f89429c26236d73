//! A folder with a few inputs, for tests that load manifests.

use std::fs;
use std::path::PathBuf;

use packtrain::manifest::{Family, ManifestErrors, Override, load};
use tempfile::TempDir;

/// A folder with `images/`, `labels.txt` and what a test writes; the manifest is `pipeline.yaml`.
pub struct Project {
    folder: TempDir,
}

impl Project {
    pub fn new() -> Project {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("images")).unwrap();
        fs::write(folder.path().join("labels.txt"), "").unwrap();
        Project { folder }
    }

    /// Adds a file; a line break at the beginning of its text is left out.
    pub fn with(self, path: &str, text: &str) -> Project {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.strip_prefix('\n').unwrap_or(text)).unwrap();
        self
    }

    /// The absolute path of a file of the project.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn load(&self, overrides: &[&str]) -> Result<Family, ManifestErrors> {
        let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        load("pipeline.yaml".as_ref(), &overrides, self.folder.path())
    }

    /// What a user reads, with `[DIR]` for the project's folder.
    pub fn errors(&self, overrides: &[&str]) -> String {
        let text = self.load(overrides).unwrap_err().to_string();
        text.replace(self.folder.path().to_str().unwrap(), "[DIR]")
    }
}
