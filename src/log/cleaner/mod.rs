//! The log cleaner: a compacted log keeps at least the last value of each key. Kafka 3.9: `LogCleaner`,
//! `LogCleanerManager`, `Cleaner`, `CleanedTransactionMetadata`, `SkimpyOffsetMap`.
//!
//! # A clean, step by step
//!
//! 1. [`manager`] picks the filthiest log ([`selection`]): `[first dirty, first uncleanable)` is what was never
//!    cleaned and may be.
//! 2. [`clean`] reads that range and notes the last offset of each key in the [`offset_map`].
//! 3. From the start of the log on it groups segments that fit into one, reads them again and writes what
//!    survives ([`filter`], [`transactions`]) to new segments ([`output`]) under names with `.cleaned`.
//! 4. Each group is swapped in by [`UnifiedLog::replace_segments`](super::unified_log), crash-safe.
//! 5. The end of the cleaned range goes to `cleaner-offset-checkpoint` ([`checkpoint`]).
//!
//! # What stands in a clean's way
//!
//! [`states`] says which partition a thread cleans; a caller that deletes or moves a log pauses its cleaning and waits
//! for the thread, which looks up after every buffer. Truncations wait for nobody: a swap looks under the log's
//! lock whether the log is still what was read.
//!
//! An error ends one clean and puts that partition in [`quarantine`] with the reason; it is tried again after a
//! while, and at once when the topic's configuration changes. Threads never die. Only an I/O error that says
//! nothing about this log, such as a disk that cannot be read, takes the log dir offline, as everywhere. A full disk
//! does not: what was written goes, and the partition stays as it was.
//!
//! Everything but [`thread`] is driven by its caller and a [`Clock`](crate::common::clock::Clock).

pub mod checkpoint;
pub mod clean;
pub mod config;
pub mod error;
pub mod filter;
pub mod groups;
pub mod manager;
pub mod metrics;
pub mod offset_map;
pub mod output;
pub mod quarantine;
pub mod recopy;
pub mod selection;
pub mod source;
pub mod states;
pub mod stats;
pub mod thread;
pub mod throttler;
pub mod transactions;

#[cfg(test)]
mod tests;

pub use config::CleanerConfig;
pub use manager::CleanerManager;
pub use thread::LogCleaner;
