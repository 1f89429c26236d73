//! `packtrain guard`: what a run puts between itself and a command. Not for people, so that no help lists it.

use std::ffi::OsString;

use clap::Args;

use crate::exec;

/// Run a program until it ends or standard input does
#[derive(Debug, Args)]
pub(super) struct GuardArgs {
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    words: Vec<OsString>,
}

pub(super) fn run(args: &GuardArgs) -> ! {
    let code = exec::guard(&args.words);
    #[expect(clippy::disallowed_methods, reason = "the code is that of the program, not one of packtrain's; no destructor waits")]
    std::process::exit(code)
}
