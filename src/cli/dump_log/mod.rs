//! The subcommand `barnabas dump-log`: prints the content of the files of a log dir in the format of Kafka's own tool.
//! Kafka 3.9: `kafka.tools.DumpLogSegments`; flags and lines are the same, to the byte.
//!
//! Differences from Kafka's tool:
//!
//! | | Kafka's tool | here |
//! |---|---|---|
//! | something is corrupt | a stack trace, or nothing but `isvalid: false`; status 0 or 1 | a sentence on standard error with file and byte; the other files are still dumped; status 1 |
//! | a file that is not there | an index is created by looking at it | nothing is ever written: files are opened for reading and no lock is taken |
//! | the files of a running broker | the zeros behind an index or a preallocated log look like corruption | they are told apart: see [`active`] |
//! | checkpoints | not read | printed too |
//! | `--json` | | one object a line |
//!
//! It refuses Java decoder classes other than Kafka's own, KRaft's metadata, and remote storage's metadata. It names
//! records that only KRaft's group coordinator writes, and does not decode them.

mod active;
mod arguments;
mod batch_scan;
mod checkpoint;
mod decoders;
mod dump;
mod files;
mod index;
mod java;
mod json;
mod log;
mod record_line;
mod report;
mod snapshot;
mod time_index;
mod transaction_index;

#[cfg(test)]
mod tests;

pub(super) use arguments::Arguments;
pub(super) use dump::run;
