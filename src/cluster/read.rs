//! Defines the parameters and the result of a fetch from one partition. Kafka 3.9: `FetchParams`,
//! `FetchRequest.PartitionData`, `FetchPartitionData`.

use crate::common::error::ErrorCode;
use crate::common::file_range::FileRange;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId};
use crate::log::{FetchIsolation, LogError, LogOffsetMetadata, UnifiedLog};

/// The part of a fetch that only a follower sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub broker_id: BrokerId,
    /// The start of the follower's log.
    pub log_start_offset: Offset,
}

/// The parameters of a fetch for one partition.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The topic id that the reader expects.
    pub topic_id: Option<TopicId>,
    /// The first offset to read.
    pub fetch_offset: Offset,
    /// The maximum number of bytes to return.
    pub max_bytes: usize,
    /// Whether to return the first batch even if it is larger.
    pub min_one_message: bool,
    /// How far the reader may see.
    pub isolation: FetchIsolation,
    /// The leader epoch that the reader expects.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// The epoch of the reader's last record, to check whether the logs diverge (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// Whether only the leader may answer; otherwise a follower may answer too (KIP-392).
    pub fetch_only_leader: bool,
    /// The follower, if a replica of this partition asks.
    pub follower: Option<FollowerFetch>,
}

/// The result of a fetch for one partition. Offsets are -1 if an error hides them.
#[derive(Clone, Debug)]
pub struct FetchPartitionData {
    /// The position at which the read started; `None` if nothing was read.
    pub fetch_offset: Option<LogOffsetMetadata>,
    /// [`ErrorCode::None`] without an error.
    pub error: ErrorCode,
    /// High watermark.
    pub high_watermark: Offset,
    /// Last stable offset.
    pub last_stable_offset: Offset,
    /// Log start offset.
    pub log_start_offset: Offset,
    /// Set if the follower must truncate first: the leader's largest epoch that is not after the follower's, and its
    /// end.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// Bytes of the log.
    pub records: Option<FileRange>,
    /// Whether not even the first batch fits into the allowed bytes.
    pub first_entry_incomplete: bool,
    /// The aborted transactions, for `read_committed`.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
    /// The replica that the consumer should read from instead (KIP-392).
    pub preferred_read_replica: Option<BrokerId>,
}

impl FetchPartitionData {
    /// A result without records, with the offsets of this log.
    pub(super) fn of_log(log: &UnifiedLog) -> Self {
        Self {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.log_start_offset(),
            ..Self::error(ErrorCode::None)
        }
    }

    /// A result without data, with this error.
    pub fn error(error: ErrorCode) -> Self {
        Self {
            fetch_offset: None,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            records: None,
            first_entry_incomplete: false,
            aborted_transactions: None,
            preferred_read_replica: None,
        }
    }

    /// Bytes of records.
    pub fn size(&self) -> usize {
        self.records.as_ref().map_or(0, |slice| slice.length)
    }
}

/// The error code for a client or peer after a failed read, truncation or creation.
pub fn error_code(error: &LogError) -> ErrorCode {
    match error {
        LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        LogError::Storage { .. } => ErrorCode::KafkaStorageError,
        LogError::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
    }
}

/// Whether the reader's log and ours diverge before the fetch offset (KIP-595; fact 35 gives the order of the checks).
pub(super) fn diverging_epoch(
    log: &UnifiedLog,
    request: &ReadRequest,
) -> Result<Option<(LeaderEpoch, Offset)>, ErrorCode> {
    let Some(last_fetched_epoch) = request.last_fetched_epoch else {
        return Ok(None);
    };
    let (epoch, end_offset) = log.end_offset_for_epoch(last_fetched_epoch);
    if epoch < 0 || end_offset < 0 || request.fetch_offset < log.log_start_offset() {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let diverges = epoch < last_fetched_epoch || end_offset < request.fetch_offset;
    Ok(diverges.then_some((epoch, end_offset)))
}
