//! The log cleaner: a compacted log keeps at least the last value of each key. Kafka 3.9: `LogCleaner`,
//! `LogCleanerManager`, `Cleaner`, `CleanedTransactionMetadata`, `SkimpyOffsetMap`.
//!
//! # A clean, step by step
//!
//! 1. [`manager`] chooses the filthiest log ([`selection`]). `[first dirty, first uncleanable)` is the part that was
//!    never cleaned and may be cleaned now.
//! 2. [`clean`] reads that part and stores the last offset of each key in the [`offset_map`].
//! 3. From the start of the log it groups segments that fit into one, reads them again and writes the surviving records
//!    ([`filter`], [`transactions`]) to new segments ([`output`]), whose names have `.cleaned`.
//! 4. [`UnifiedLog::replace_segments`](super::unified_log) swaps each group in; the swap is crash-safe.
//! 5. The manager writes the end of the cleaned range to `cleaner-offset-checkpoint` ([`checkpoint`]).
//!
//! # Conflicts and errors
//!
//! [`states`] knows which partition a thread is cleaning. A caller that deletes or moves a log pauses its cleaning and
//! waits for the thread, which checks after every buffer. A truncation does not wait: the swap checks under the log's
//! lock whether the log has changed since the cleaner read it.
//!
//! An error ends one clean and puts that partition into [`quarantine`] with the reason. The cleaner tries it again
//! after a pause, and at once when the topic's configuration changes. Threads never die. Only an I/O error that is not
//! about this log, such as a disk that cannot be read, takes the log dir offline. A full disk does not: the cleaner
//! removes what it wrote, and the partition stays as it was.
//!
//! All modules except [`thread`] get the time from a [`Clock`](crate::common::clock::Clock) and start no threads.

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
