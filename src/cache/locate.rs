//! Where a project and its state lie.

use std::path::{Path, PathBuf};

use crate::cache::STATE_FOLDER;

/// The folders of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Holds `output/`.
    pub root: PathBuf,
    /// Usually `.packtrain` in the root.
    pub state: PathBuf,
}

impl Project {
    /// The project that a manifest in `folder` belongs to: the nearest ancestor with a state folder, else the git
    /// root, else `folder` itself. `state` overrides where the state lies.
    pub fn of(folder: &Path, state: Option<PathBuf>) -> Project {
        let with = |name: &str| folder.ancestors().find(|ancestor| ancestor.join(name).exists());
        let root = with(STATE_FOLDER).or_else(|| with(".git")).unwrap_or(folder).to_owned();
        let state = state.unwrap_or_else(|| root.join(STATE_FOLDER));
        Project { root, state }
    }

    /// Where all outputs appear.
    pub fn outputs(&self) -> PathBuf {
        self.root.join("output")
    }

    /// Where the outputs of a stage appear.
    pub fn output(&self, pipeline: &str, stage: &str) -> PathBuf {
        self.outputs().join(pipeline).join(stage)
    }
}
