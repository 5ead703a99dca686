//! The `barnabas` command.

use std::process::ExitCode;

use barnabas::cli::Cli;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

// Fast, and it reserves address space without touching it, which the message decoder relies on: see
// `protocol::codec`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(cli.log_level()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("barnabas: {error:#}");
            ExitCode::FAILURE
        }
    }
}
