//! Applies a response to a follower's log. Kafka 3.9: `ReplicaFetcherThread.processPartitionData`,
//! `Partition.appendRecordsToFollowerOrFutureReplica`.

use bytes::Bytes;

use super::truncation::truncation_offset;
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset};
use crate::log::{AppendError, LogError, UnifiedLog};

/// One partition's part of a response without error.
#[derive(Clone, Debug)]
pub(in crate::replica) struct Fetched {
    /// Leader epoch of the request.
    pub(in crate::replica) epoch: LeaderEpoch,
    /// Offset of the request.
    pub(in crate::replica) fetch_offset: Offset,
    pub(in crate::replica) records: Bytes,
    /// The leader's high watermark.
    pub(in crate::replica) high_watermark: Offset,
    /// The leader's log start offset.
    pub(in crate::replica) log_start_offset: Offset,
}

/// The position of the follower after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replica) struct Progress {
    pub(in crate::replica) fetch_offset: Offset,
    pub(in crate::replica) last_fetched_epoch: Option<LeaderEpoch>,
    pub(in crate::replica) high_watermark_moved: bool,
    /// Whether no record could be appended because the records have a later leader epoch than the fetch. The
    /// controller's decision on that epoch has not arrived yet (fact 74).
    pub(in crate::replica) is_stuck: bool,
}

/// Why a response could not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replica) enum ApplyError {
    /// The data are corrupt: the fetcher fetches them again later.
    Corrupt(String),
    /// The disk has failed.
    Storage(String),
    /// An error that another try does not repair: the partition waits for the controller's next decision.
    Unexpected(String),
}

impl From<LogError> for ApplyError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Storage { .. } => Self::Storage(error.to_string()),
            _ => Self::Unexpected(error.to_string()),
        }
    }
}

impl From<AppendError> for ApplyError {
    fn from(error: AppendError) -> Self {
        match error.code {
            ErrorCode::KafkaStorageError => Self::Storage(error.to_string()),
            ErrorCode::CorruptMessage | ErrorCode::InvalidRecord => Self::Corrupt(error.to_string()),
            _ => Self::Unexpected(error.to_string()),
        }
    }
}

/// Appends the leader's batches unchanged, then applies the leader's high watermark and its log start offset, in this
/// order: neither may be beyond the end of the log.
pub(in crate::replica) fn append(log: &UnifiedLog, fetched: Fetched) -> Result<Progress, ApplyError> {
    let log_end_offset = log.log_end_offset();
    if log_end_offset != fetched.fetch_offset {
        let (asked, end) = (fetched.fetch_offset, log_end_offset);
        return Err(ApplyError::Unexpected(format!(
            "offset {asked} was fetched, but the log ends at {end}"
        )));
    }
    let mut is_stuck = false;
    if !fetched.records.is_empty() {
        let appended = log.append_as_follower(fetched.records, fetched.epoch)?;
        is_stuck = appended.size == 0;
    }
    let before = log.high_watermark();
    let high_watermark = log.update_high_watermark(fetched.high_watermark);
    log.maybe_increment_log_start_offset(fetched.log_start_offset.min(high_watermark))?;
    Ok(Progress {
        high_watermark_moved: high_watermark != before,
        is_stuck,
        ..progress(log)
    })
}

/// Truncates the log so that it becomes a prefix of the leader's log, as far as one answer allows.
pub(in crate::replica) fn truncate(
    log: &UnifiedLog,
    leader: (LeaderEpoch, Offset),
) -> Result<Progress, ApplyError> {
    let end = log.log_end_offset();
    let to = truncation_offset(leader, log.end_offset_for_epoch(leader.0), end);
    if to < log.high_watermark() {
        tracing::warn!(
            partition = %log.topic_partition(), to, high_watermark = log.high_watermark(),
            "truncating below the high watermark"
        );
    }
    tracing::info!(partition = %log.topic_partition(), from = end, to, ?leader, "the logs diverge, truncating");
    log.truncate_to(to)?;
    Ok(progress(log))
}

/// Handles OFFSET_OUT_OF_RANGE, given the offsets of the leader's log: truncates the records that the leader does not
/// have, or empties the log and starts at the leader's start.
pub(in crate::replica) fn reset(
    log: &UnifiedLog,
    leader_start: Offset,
    leader_end: Offset,
) -> Result<Progress, ApplyError> {
    let end = log.log_end_offset();
    if leader_end < end {
        tracing::warn!(partition = %log.topic_partition(), end, leader_end, "the leader's log is shorter, truncating");
        log.truncate_to(leader_end)?;
    } else if leader_start > end {
        tracing::warn!(partition = %log.topic_partition(), end, leader_start, "the leader's log starts later, starting anew");
        log.truncate_fully_and_start_at(leader_start)?;
    }
    Ok(progress(log))
}

/// Truncates the log at the high watermark. Without epochs to compare, only the records below it are known to be the
/// same as the leader's.
pub(super) fn truncate_to_high_watermark(log: &UnifiedLog) -> Result<Progress, ApplyError> {
    log.truncate_to(log.high_watermark())?;
    Ok(progress(log))
}

fn progress(log: &UnifiedLog) -> Progress {
    Progress {
        fetch_offset: log.log_end_offset(),
        last_fetched_epoch: log.latest_epoch(),
        high_watermark_moved: false,
        is_stuck: false,
    }
}
