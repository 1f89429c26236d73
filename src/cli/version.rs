//! `packtrain --version`.

use std::io::Write;

use crate::artifact::hdf5_version;
use crate::cli::ExitCode;
use crate::cli::error::CommandError;
use crate::exec::worker_hello;

/// Prints the versions of everything that computes; a worker that cannot start is said, not an error.
pub(super) fn print(out: &mut dyn Write) -> Result<ExitCode, CommandError> {
    writeln!(out, "packtrain {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "HDF5 {}", hdf5_version())?;
    match worker_hello() {
        Ok(hello) => {
            writeln!(out, "libtorch {}", hello.libtorch)?;
            writeln!(out, "devices {}", hello.devices.join(", "))?;
        }
        Err(error) => writeln!(out, "libtorch none: {error}")?,
    }
    Ok(ExitCode::Success)
}
