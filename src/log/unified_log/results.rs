//! Defines the results of an append and of a clean, the state of a producer in a log, and how far a reader may see.
//! Kafka 3.9: `LogAppendInfo`, `FetchIsolation`, `LastRecord`.

use std::io;
use std::sync::Arc;

use crate::common::ids::{Offset, ProducerId};
use crate::log::segment::LogSegment;
use crate::record::conversion::Conversion;

/// The result of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAppendInfo {
    /// Offset of the first record; of the earlier append if this is a duplicate; -1 if there was no record to append.
    pub first_offset: Offset,
    /// Offset of the last record; one less than the first offset if there was no record to append.
    pub last_offset: Offset,
    /// Largest timestamp among the records; -1 if none has one.
    pub max_timestamp: i64,
    /// The time of the leader if `message.timestamp.type` is LogAppendTime, else -1.
    pub log_append_time: i64,
    /// Start of the log at the time of the append.
    pub log_start_offset: Offset,
    /// Whether the idempotent producer had sent this batch before; then nothing was appended.
    pub duplicate: bool,
    /// Bytes appended.
    pub size: usize,
    /// The time and memory that conversion took.
    pub conversion: Conversion,
}

/// How far a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchIsolation {
    /// To the end of the log: followers and coordinators.
    LogEnd,
    /// To the high watermark: consumers.
    HighWatermark,
    /// To the last stable offset: consumers with `read_committed`.
    TxnCommitted,
}

/// A producer that a log knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: ProducerId,
    /// The epoch of its last write.
    pub producer_epoch: i16,
    /// Sequence number of its last record; -1 for none.
    pub last_sequence: i32,
    /// Timestamp of its last batch or marker.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub current_txn_first_offset: Option<Offset>,
}

/// The state of a log at one moment, for the cleaner.
#[derive(Clone)]
pub struct CleaningView {
    /// All segments; the last one is active.
    pub segments: Vec<Arc<LogSegment>>,
    /// First offset that readers may ask for.
    pub log_start_offset: Offset,
    /// The next offset to be written.
    pub log_end_offset: Offset,
    /// No transaction is open below this offset, and every in-sync replica has the records below it.
    pub last_stable_offset: Offset,
    /// How often the log had been truncated.
    pub truncations: u64,
}

/// The last write of a producer. The log must know it while the producer is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// Offset of its last record; `None` if only a marker is known.
    pub last_data_offset: Option<Offset>,
    /// The epoch of its last write.
    pub producer_epoch: i16,
}

/// The result of replacing segments.
pub enum Replacement {
    /// The new segments are in place.
    Done,
    /// The log was truncated or closed, or its start moved, since the view was taken. Nothing was changed.
    Outdated(Vec<LogSegment>),
    /// The new segments could not be renamed. Nothing was changed in the log.
    Failed(Vec<LogSegment>, io::Error),
}
