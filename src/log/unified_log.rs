//! One partition's log: append, read, truncate; high watermark and last stable offset. Kafka 3.9: `UnifiedLog`.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;

use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, ProducerId, TopicId, TopicPartition};
use crate::config::LogConfig;

/// Who appends: decides which checks apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOrigin {
    /// A Produce request.
    Client,
    /// A coordinator on this broker, transaction markers included.
    Coordinator,
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

/// An offset and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsetMetadata {
    /// The offset.
    pub offset: Offset,
    /// Base offset of its segment.
    pub segment_base_offset: Offset,
    /// Byte in the segment's `.log`.
    pub position: u64,
}

/// What an append did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAppendInfo {
    /// Offset of the first record; of the earlier append if this is a duplicate.
    pub first_offset: Offset,
    /// Offset of the last record.
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
}

/// Why nothing was appended: the code for the client and what to tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AppendError {
    /// Kafka's code. [`ErrorCode::KafkaStorageError`] means that the log dir has gone offline.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Records refused one by one: index in the batch and why (KIP-467).
    pub record_errors: Vec<(i32, String)>,
}

/// Why a log could not be read, truncated or created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Before the start or beyond the end (or beyond the high watermark, for a truncation by a reader).
    #[error("offset {offset} is outside [{start}, {end}]")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// I/O failed; the log dir is offline from now on.
    #[error("log dir {dir} is offline: {reason}")]
    Storage {
        /// The log dir.
        dir: String,
        /// The first error.
        reason: String,
    },
    /// The partition's directory belongs to another incarnation of the topic.
    #[error("topic id {found} on disk, {expected} expected")]
    InconsistentTopicId {
        /// In `partition.metadata`.
        found: TopicId,
        /// In the request.
        expected: TopicId,
    },
}

/// Bytes of a segment, to be sent from the file without passing through memory.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The `.log` file; stays readable after the segment is deleted.
    pub file: Arc<File>,
    /// First byte.
    pub position: u64,
    /// Number of bytes.
    pub length: usize,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct FetchDataInfo {
    /// Where the read began.
    pub fetch_offset: LogOffsetMetadata,
    /// Whole batches, except when the first one is larger than was allowed and `min_one_message` was false.
    pub records: Option<FileSlice>,
    /// For [`FetchIsolation::TxnCommitted`]: producer id and first offset of each aborted transaction in range.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
}

/// One partition's log. All methods lock inside and are short, but for reading and writing the page cache.
pub struct UnifiedLog {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl UnifiedLog {
    pub fn topic_partition(&self) -> &TopicPartition {
        todo!()
    }
    pub fn topic_id(&self) -> Option<TopicId> {
        todo!()
    }
    pub fn assign_topic_id(&self, id: TopicId) -> Result<(), LogError> {
        todo!()
    }
    pub fn config(&self) -> Arc<LogConfig> {
        todo!()
    }
    pub fn log_start_offset(&self) -> Offset {
        todo!()
    }
    pub fn log_end_offset(&self) -> Offset {
        todo!()
    }
    pub fn log_end_offset_metadata(&self) -> LogOffsetMetadata {
        todo!()
    }
    pub fn high_watermark(&self) -> Offset {
        todo!()
    }
    pub fn high_watermark_metadata(&self) -> LogOffsetMetadata {
        todo!()
    }
    pub fn last_stable_offset(&self) -> Offset {
        todo!()
    }
    /// Forward only, never beyond the end of the log; true if it moved.
    pub fn maybe_increment_high_watermark(&self, to: Offset) -> bool {
        todo!()
    }
    /// A follower's rule: the leader's high watermark, clamped to this log; returns the new value.
    pub fn update_high_watermark(&self, to: Offset) -> Offset {
        todo!()
    }
    pub fn maybe_increment_log_start_offset(&self, to: Offset) -> Result<bool, LogError> {
        todo!()
    }
    /// Validates, assigns offsets, appends. `records` is what the client or coordinator sent.
    pub fn append_as_leader(
        &self,
        records: Bytes,
        epoch: LeaderEpoch,
        origin: AppendOrigin,
    ) -> Result<LogAppendInfo, AppendError> {
        todo!()
    }
    /// Appends the leader's batches as they are; stops before a batch of an epoch later than `epoch` (trap 74).
    pub fn append_as_follower(
        &self,
        records: Bytes,
        epoch: LeaderEpoch,
    ) -> Result<LogAppendInfo, AppendError> {
        todo!()
    }
    pub fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        isolation: FetchIsolation,
        min_one_message: bool,
    ) -> Result<FetchDataInfo, LogError> {
        todo!()
    }
    /// Cuts the log so that `offset` is the next to be written; true if anything was cut.
    pub fn truncate_to(&self, offset: Offset) -> Result<bool, LogError> {
        todo!()
    }
    pub fn truncate_fully_and_start_at(&self, offset: Offset) -> Result<(), LogError> {
        todo!()
    }
    /// Latest epoch in the leader-epoch cache.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        todo!()
    }
    /// Records that `epoch` starts at `start`, at once and on disk (trap 32).
    pub fn assign_epoch_start_offset(&self, epoch: LeaderEpoch, start: Offset) -> Result<(), LogError> {
        todo!()
    }
    /// Largest epoch ≤ `epoch` and its end offset; (-1, -1) if undefined (kafka-3.9.md §5).
    pub fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> (LeaderEpoch, Offset) {
        todo!()
    }
    /// First record with timestamp ≥ `timestamp`: (timestamp, offset, leader epoch).
    pub fn offset_by_timestamp(
        &self,
        timestamp: i64,
    ) -> Result<Option<(i64, Offset, LeaderEpoch)>, LogError> {
        todo!()
    }
    /// Record with the largest timestamp: (timestamp, offset, leader epoch).
    pub fn offset_of_max_timestamp(&self) -> Result<Option<(i64, Offset, LeaderEpoch)>, LogError> {
        todo!()
    }
    /// Base offsets of segments with the time of their last change, newest first, for ListOffsets v0.
    pub fn legacy_offsets_before(&self, timestamp: i64, max_offsets: usize) -> Vec<Offset> {
        todo!()
    }
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        todo!()
    }
    /// Total bytes of its segments.
    pub fn size(&self) -> u64 {
        todo!()
    }
}
