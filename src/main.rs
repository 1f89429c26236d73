//! The coordinator: reads the command line, calls the command, exits with its code.

fn main() -> std::process::ExitCode {
    packtrain::cli::main(std::env::args_os()).into()
}
