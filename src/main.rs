//! The `barnabas` command.

use std::process::ExitCode;

use barnabas::Cli;
use barnabas::Loggers;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

// The allocator is fast, and it reserves address space without touching it. The message decoder relies on that: see
// `protocol::codec`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let loggers = log_to_standard_error(cli.log_level());
    match cli.run(loggers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("barnabas: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Starts logging with the filter in `RUST_LOG`, or else `usual`.
fn log_to_standard_error(usual: &str) -> Loggers {
    let base = std::env::var("RUST_LOG").ok();
    let base = base.filter(|base| EnvFilter::try_new(base).is_ok());
    let base = base.unwrap_or_else(|| usual.to_owned());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(EnvFilter::new(&base))
        .with_filter_reloading();
    let filter = subscriber.reload_handle();
    subscriber.init();
    Loggers::new(&base, move |text| {
        let changed = EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        filter.reload(changed).map_err(|error| error.to_string())
    })
}
