//! Tells where a value of the configuration was given, for messages.

use std::fmt;
use std::sync::Arc;

/// The place where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file's name as the caller gave it.
        path: Arc<str>,
        /// The number of the line on which the entry starts, counted from 1.
        line: usize,
    },
    /// `--override` on the command line.
    CommandLine,
    /// `-D` or `KAFKA_OPTS`: a system property of a JVM.
    SystemProperty,
    /// `/config/brokers/…` in ZooKeeper.
    Dynamic,
    /// The program itself, such as `barnabas cluster` or a test.
    Program,
}

/// Writes `server.properties:12`, with which messages start.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::CommandLine => f.write_str("--override"),
            Self::SystemProperty => f.write_str("-D"),
            Self::Dynamic => f.write_str("dynamic configuration"),
            Self::Program => f.write_str("built-in configuration"),
        }
    }
}
