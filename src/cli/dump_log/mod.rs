//! `barnabas dump-log`: what is in the files of a log dir, in the words of Kafka's own tool.
//! Kafka 3.9: `kafka.tools.DumpLogSegments`, whose flags these are and whose lines these are, to the byte.
//!
//! Where it goes beyond its model:
//!
//! | | Kafka's tool | here |
//! |---|---|---|
//! | something is corrupt | a stack trace, or nothing but `isvalid: false`; status 0 or 1 | a sentence on standard error with file and byte; the other files are still dumped; status 1 |
//! | a file that is not there | an index is created by looking at it | nothing is ever written: files are opened for reading and no lock is taken |
//! | the files of a running broker | the zeros behind an index or a preallocated log look like corruption | they are told apart: see [`active`] |
//! | checkpoints | not read | printed too |
//! | `--json` | | one object a line |
//!
//! What it refuses: decoders that are Java classes other than Kafka's own, KRaft's metadata and remote storage's.
//! Records that only the group coordinator of KRaft writes are named, not decoded.

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
