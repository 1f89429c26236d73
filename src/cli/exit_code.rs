//! The codes that `packtrain` exits with.

/// Documented in the README; never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done.
    Success = 0,
    /// A stage failed.
    StageFailed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The manifest is wrong, or names what is not there.
    InvalidManifest = 3,
    /// The cache or an input could not be read or written.
    Storage = 4,
    /// A result is not the one that is expected.
    Different = 5,
    /// Stopped by the user.
    Interrupted = 130,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> std::process::ExitCode {
        std::process::ExitCode::from(code as u8)
    }
}
