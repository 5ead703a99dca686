//! What a log tells of an append, its producers and a clean, and how far a reader may see. Kafka 3.9:
//! `LogAppendInfo`, `FetchIsolation`, `LastRecord`.

use std::io;
use std::sync::Arc;

use crate::common::ids::{Offset, ProducerId};
use crate::log::segment::LogSegment;
use crate::record::conversion::Conversion;

/// What an append did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAppendInfo {
    /// Offset of the first record; of the earlier append if this is a duplicate; -1 if there was none to append.
    pub first_offset: Offset,
    /// Offset of the last record; one less than the first if there was none to append.
    pub last_offset: Offset,
    /// Largest timestamp among the records; -1 if none has one.
    pub max_timestamp: i64,
    /// The leader's time if `message.timestamp.type` is LogAppendTime, else -1.
    pub log_append_time: i64,
    /// Start of the log at the time of the append.
    pub log_start_offset: Offset,
    /// An idempotent producer sent this batch before: nothing was appended.
    pub duplicate: bool,
    /// Bytes appended.
    pub size: usize,
    /// What the append cost beside the writing.
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
    /// The epoch it last wrote in.
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

/// A log at one moment.
#[derive(Clone)]
pub struct CleaningView {
    /// All segments; the last one is active.
    pub segments: Vec<Arc<LogSegment>>,
    /// First offset that readers may ask for.
    pub log_start_offset: Offset,
    /// The next offset to be written.
    pub log_end_offset: Offset,
    /// No transaction is open below, and every replica in sync has it.
    pub last_stable_offset: Offset,
    /// How often the log had been cut.
    pub truncations: u64,
}

/// The last thing a producer wrote: what the log must tell of it for as long as it is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRecord {
    /// Offset of its last record; `None` if only a marker is known.
    pub last_data_offset: Option<Offset>,
    /// The epoch it wrote in.
    pub producer_epoch: i16,
}

/// What became of a swap.
pub enum Replacement {
    /// The new segments are in place.
    Done,
    /// The log was cut, closed or shortened since the view was taken. Nothing was changed.
    Outdated(Vec<LogSegment>),
    /// The new segments could not be renamed. Nothing was changed in the log.
    Failed(Vec<LogSegment>, io::Error),
}
