//! The coordinator: reads the command line, calls the command, exits with its code.

/// A run allocates many small things, on all cores: with glibc's allocator one of 1,000 stages takes half as long again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    packtrain::cli::main(std::env::args_os()).into()
}
