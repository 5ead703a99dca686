//! The command line, one file for each subcommand.
//!
//! Exit status 0: done; 1: failed, with one line on standard error that names the file, key or znode; 2: bad usage.

mod broker;
mod cleaner;
mod cluster;
mod dump_log;
mod signals;
mod system_properties;
mod zk;

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::common::loggers::Loggers;

/// An Apache Kafka 3.9 broker for clusters coordinated by ZooKeeper.
#[derive(Parser)]
#[command(name = "barnabas", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one broker in the foreground; SIGTERM or SIGINT is a controlled shutdown, a second one quits at once.
    Broker(broker::Arguments),
    /// Run several brokers in one process, for tests and experiments.
    Cluster(cluster::Arguments),
    /// Print the content of the files of a log dir; the flags are those of Kafka's kafka-dump-log.
    DumpLog(dump_log::Arguments),
    /// Show the state of a running broker's log cleaner, and which partitions it cannot clean and why.
    Cleaner(cleaner::Arguments),
    /// Print or check the cluster's znodes.
    Zk(zk::Arguments),
}

impl Cli {
    /// The log level unless `RUST_LOG` sets another. A broker logs its work; a tool, whose output is what it prints,
    /// logs only problems.
    #[must_use]
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Broker(_) | Command::Cluster(_) => "info",
            Command::DumpLog(_) | Command::Cleaner(_) | Command::Zk(_) => "warn",
        }
    }

    /// Runs the command. `loggers` change the log levels while it runs.
    pub fn run(self, loggers: Loggers) -> Result<()> {
        raise_open_files_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            match self.command {
                Command::Broker(arguments) => broker::run(arguments, loggers).await,
                Command::Cluster(arguments) => cluster::run(arguments, loggers).await,
                Command::DumpLog(arguments) => dump_log::run(&arguments),
                Command::Cleaner(arguments) => cleaner::run(arguments).await,
                Command::Zk(arguments) => zk::run(arguments).await,
            }
        });
        // Background tasks have no work left.
        runtime.shutdown_background();
        result
    }
}

/// Raises the soft limit of open files: every partition keeps files open, and the limit of a login shell, often 1024,
/// is soon reached. The JVM raises it too.
fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, limit = limit.current, "cannot raise the limit of open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_log_only_what_is_wrong() {
        let level = |line: &str| {
            Cli::try_parse_from(line.split(' '))
                .expect("a command")
                .log_level()
        };
        assert_eq!(level("barnabas broker server.properties"), "info");
        assert_eq!(
            level("barnabas cluster --brokers 3 --zookeeper z:2181 --dir d"),
            "info"
        );
        assert_eq!(level("barnabas zk dump --zookeeper z:2181"), "warn");
        assert_eq!(level("barnabas zk check --zookeeper z:2181"), "warn");
        assert_eq!(level("barnabas dump-log --files 0.log"), "warn");
        assert_eq!(level("barnabas cleaner --metrics h:9404"), "warn");
    }
}
