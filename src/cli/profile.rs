//! Which profile is chosen, and where the files of profiles lie: at the project's root and in the user's own settings.

use std::path::{Path, PathBuf};

use crate::cache::Project;
use crate::cli::Global;
use crate::cli::error::CommandError;
use crate::manifest::Profile;

/// The project's profiles, at its root.
const PROJECT_FILE: &str = "packtrain-profiles.yaml";
/// The user's, in the folder for settings.
const USER_FILE: &str = "packtrain/profiles.yaml";

/// The profile that the command line or the environment names, if one does, for a manifest or a user in `folder`.
pub(super) fn chosen(global: &Global, folder: &Path, current: &Path) -> Result<Option<Profile>, CommandError> {
    // An empty variable is how a shell takes a setting back.
    let name = global.profile.as_deref().filter(|name| !name.is_empty());
    Ok(name.map(|name| Profile::find(name, &files(folder, current), current)).transpose()?)
}

/// Where the cache lies, if the command line, the environment or the profile says it.
pub(super) fn state_dir(global: &Global, profile: Option<&Profile>) -> Option<PathBuf> {
    global.state_dir.clone().or_else(|| profile?.state_dir.clone())
}

/// Every file that may have profiles, the one that counts more first; as messages show them.
pub(super) fn files(folder: &Path, current: &Path) -> Vec<PathBuf> {
    let project = Project::of(folder, None).root.join(PROJECT_FILE);
    let shown = project.strip_prefix(current).map_or(project.clone(), Path::to_owned);
    std::iter::once(shown).chain(settings_folder().map(|settings| settings.join(USER_FILE))).collect()
}

/// The user's settings, by the XDG Base Directory Specification: what is not absolute does not count.
fn settings_folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the folder of the user's settings is told by nothing else")]
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
}
