//! A folder with a few inputs, for tests that load manifests.

use std::fs;

use packtrain::manifest::{ManifestErrors, Override, Pipeline, load};
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
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.strip_prefix('\n').unwrap_or(text)).unwrap();
        self
    }

    pub fn load(&self, overrides: &[&str]) -> Result<Pipeline, ManifestErrors> {
        let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
        load("pipeline.yaml".as_ref(), &overrides, self.folder.path())
    }

    /// What a user reads, with `[DIR]` for the project's folder.
    pub fn errors(&self, overrides: &[&str]) -> String {
        let text = self.load(overrides).unwrap_err().to_string();
        text.replace(self.folder.path().to_str().unwrap(), "[DIR]")
    }
}

/// What a user reads about a manifest.
pub fn errors(manifest: &str) -> String {
    Project::new().with("pipeline.yaml", manifest).errors(&[])
}
