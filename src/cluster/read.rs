//! What a fetch asks of one partition and what it gets. Kafka 3.9: `FetchParams`, `FetchRequest.PartitionData`,
//! `FetchPartitionData`.

use crate::common::error::ErrorCode;
use crate::common::file_range::FileRange;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset, ProducerId, TopicId};
use crate::log::{FetchIsolation, LogError, LogOffsetMetadata, UnifiedLog};

/// The follower's side of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub broker_id: BrokerId,
    /// Start of its log.
    pub log_start_offset: Offset,
}

/// What one fetch wants of one partition.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The topic id that the reader believes in.
    pub topic_id: Option<TopicId>,
    /// First offset wanted.
    pub fetch_offset: Offset,
    /// Most bytes to return.
    pub max_bytes: usize,
    /// Return the first batch even if it is larger.
    pub min_one_message: bool,
    /// How far the reader may see.
    pub isolation: FetchIsolation,
    /// The leader epoch that the reader believes in.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Epoch of the last record that the reader has, for the check whether the logs diverge (KIP-595).
    pub last_fetched_epoch: Option<LeaderEpoch>,
    /// Only the leader may answer; otherwise a follower may too (KIP-392).
    pub fetch_only_leader: bool,
    /// Set if a replica of this partition is asking.
    pub follower: Option<FollowerFetch>,
}

/// What a fetch gets of one partition. Offsets are -1 where an error hides them.
#[derive(Clone, Debug)]
pub struct FetchPartitionData {
    /// Where the reading began; `None` if nothing was read.
    pub fetch_offset: Option<LogOffsetMetadata>,
    /// [`ErrorCode::None`] if all is well.
    pub error: ErrorCode,
    /// High watermark.
    pub high_watermark: Offset,
    /// Last stable offset.
    pub last_stable_offset: Offset,
    /// Log start offset.
    pub log_start_offset: Offset,
    /// The follower must truncate first.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// Bytes of the log.
    pub records: Option<FileRange>,
    /// Not even the first batch fits into the bytes allowed.
    pub first_entry_incomplete: bool,
    /// For `read_committed`.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
    /// Where the consumer should rather read (KIP-392).
    pub preferred_read_replica: Option<BrokerId>,
}

impl FetchPartitionData {
    /// Nothing is read yet, or nothing at all; these are the replica's offsets.
    pub(super) fn of_log(log: &UnifiedLog) -> Self {
        Self {
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_start_offset: log.log_start_offset(),
            ..Self::error(ErrorCode::None)
        }
    }

    /// No data, for this reason.
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

/// The code that a client or peer is told for a failed read, truncation or creation.
pub fn error_code(error: &LogError) -> ErrorCode {
    match error {
        LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        LogError::Storage { .. } => ErrorCode::KafkaStorageError,
        LogError::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
    }
}

/// Whether the reader's log and ours part before its fetch offset (KIP-595; fact 35 orders the checks).
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
