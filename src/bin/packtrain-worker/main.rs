//! `packtrain-worker`: runs the stages that need libtorch, one job at a time, for `packtrain`.
//!
//! The only program that links libtorch. Knows nothing of manifests, plans and the cache.

mod batches;
mod card;
mod device;
mod earlier;
mod evaluate;
mod features;
#[cfg(test)]
mod fixture;
mod inference;
mod kernels;
mod net;
mod optim;
mod serve;
mod train;
mod trained;
mod weights;

use std::env;
use std::io::{self, BufReader, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;

use packtrain::protocol::FromWorker;
use rustix::process::{Signal, getpid, kill_process, set_parent_process_death_signal};

use crate::serve::Signals;

const PURPOSE: &str = "packtrain-worker runs the stages of packtrain that need libtorch. It is started by `packtrain run` and reads \
     its jobs from standard input, one JSON object a line; there is nothing to run by hand.\n\n  \
     packtrain-worker --hello    prints its version, libtorch's and the devices that it sees, as JSON\n";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [] if !io::stdin().is_terminal() => serve_standard_streams(),
        [argument] if argument == "--hello" => print_hello(),
        _ => {
            return io::stderr().write_all(PURPOSE.as_bytes()).map_or(ExitCode::FAILURE, |()| ExitCode::from(2));
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The coordinator is gone, or cannot be told.
        Err(_) => ExitCode::FAILURE,
    }
}

fn print_hello() -> io::Result<()> {
    let line = serde_json::to_string(&FromWorker::Hello(serve::hello()))?;
    writeln!(io::stdout(), "{line}")
}

fn serve_standard_streams() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    leave_cores_to_libtorch()?;
    kernels::keep_memory();
    let cancelled = Arc::new(AtomicBool::new(false));
    let on_signal = Arc::clone(&cancelled);
    // Ctrl-C reaches the whole group of processes; the worker then stops at the next step and says so.
    ctrlc::set_handler(move || on_signal.store(true, Ordering::SeqCst)).map_err(io::Error::other)?;
    let signals = Signals { cancelled, abandoned };
    serve::serve(BufReader::new(io::stdin()), &mut io::stdout(), &signals)
}

/// Ends the worker in the middle of a job, without running destructors: libtorch's would pull its tables from under the thread
/// that computes. The worker owns no scratch folder and no lock; those are the coordinator's.
fn abandoned() {
    // A signal that cannot be sent leaves the job running to its end, which harms nobody.
    kill_process(getpid(), Signal::KILL).unwrap_or(());
}

/// Batches are prepared beside the network's own threads, by half as many. The coordinator says how many those are where they are
/// not as many as there are cores.
fn leave_cores_to_libtorch() -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "libtorch reads its number of threads from this variable")]
    let given = env::var("OMP_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    let threads = (given.unwrap_or(available_parallelism()?.get()) / 2).max(1);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(io::Error::other)
}
