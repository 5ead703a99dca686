//! Finds offsets by time and by leader epoch. Kafka 3.9: `Partition.fetchOffsetForTimestamp`,
//! `Partition.legacyFetchOffsetsForTimestamp`, `ReplicaManager.lastOffsetForLeaderEpoch`.

use super::manager::ReplicaManager;
use crate::cluster::error_code;
use crate::common::error::ErrorCode;
use crate::common::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::{FetchIsolation, UnifiedLog};

/// The last offset that the client may see.
pub const LATEST_TIMESTAMP: i64 = -1;
/// The start of the log.
pub const EARLIEST_TIMESTAMP: i64 = -2;
/// The record with the largest timestamp (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// The start of the data on this broker's disk. Without tiered storage, this is the start of the log.
pub const EARLIEST_LOCAL_TIMESTAMP: i64 = -4;
/// The end of the data in tiered storage; there is none.
pub const LATEST_TIERED_TIMESTAMP: i64 = -5;

/// The isolation of the reader, and the leadership that it expects.
#[derive(Clone, Copy, Debug)]
pub struct OffsetQuery {
    /// How far the reader may see; replicas see the whole log.
    pub isolation: FetchIsolation,
    /// The leader epoch that the reader expects.
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Only the leader may answer.
    pub fetch_only_leader: bool,
}

/// The found offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampAndOffset {
    /// The timestamp of the record; -1 for the start or the end of the log.
    pub timestamp: i64,
    /// The offset.
    pub offset: Offset,
    /// The leader epoch of the record; -1 if unknown.
    pub leader_epoch: LeaderEpoch,
}

impl ReplicaManager {
    /// The first offset whose record is not older than `timestamp`, or the offset for one of the special timestamps
    /// above. `None` if there is no such record. [`ErrorCode::OffsetNotAvailable`] while a new leader does not know yet
    /// what was committed before it became leader.
    pub fn offset_for_timestamp(
        &self,
        name: &TopicPartition,
        timestamp: i64,
        query: OffsetQuery,
    ) -> Result<Option<TimestampAndOffset>, ErrorCode> {
        let partition = self.partition(name)?;
        let (log, leader_epoch, epoch_start_offset) =
            partition.searchable_log(query.current_leader_epoch, query.fetch_only_leader)?;
        let end = last_fetchable_offset(&log, query.isolation);
        let is_client = query.isolation != FetchIsolation::LogEnd;
        let not_available = is_client && epoch_start_offset.is_some_and(|start| start > log.high_watermark());
        match timestamp {
            LATEST_TIMESTAMP if not_available => Err(ErrorCode::OffsetNotAvailable),
            LATEST_TIMESTAMP => Ok(Some(TimestampAndOffset {
                timestamp: -1,
                offset: end,
                leader_epoch,
            })),
            EARLIEST_TIMESTAMP | EARLIEST_LOCAL_TIMESTAMP => {
                let offset = log.log_start_offset();
                let leader_epoch = log.epoch_for_offset(offset).unwrap_or(-1);
                Ok(Some(TimestampAndOffset {
                    timestamp: -1,
                    offset,
                    leader_epoch,
                }))
            }
            LATEST_TIERED_TIMESTAMP => Ok(None),
            _ => {
                let found = match timestamp {
                    MAX_TIMESTAMP => log.offset_of_max_timestamp(),
                    _ => log.offset_by_timestamp(timestamp),
                };
                let found = found.map_err(|error| error_code(&error))?;
                match found.filter(|(_, offset, _)| *offset < end) {
                    None if not_available => Err(ErrorCode::OffsetNotAvailable),
                    found => Ok(found.map(|(timestamp, offset, leader_epoch)| TimestampAndOffset {
                        timestamp,
                        offset,
                        leader_epoch,
                    })),
                }
            }
        }
    }

    /// ListOffsets version 0: up to `max_offsets` start offsets of segments that are not newer than `timestamp`, newest
    /// first. No offset is above the high watermark; the high watermark itself may be the first one.
    pub fn legacy_offsets_before(
        &self,
        name: &TopicPartition,
        timestamp: i64,
        max_offsets: usize,
        query: OffsetQuery,
    ) -> Result<Vec<Offset>, ErrorCode> {
        let partition = self.partition(name)?;
        let (log, ..) = partition.searchable_log(query.current_leader_epoch, query.fetch_only_leader)?;
        let offsets = log
            .legacy_offsets_before(timestamp, max_offsets)
            .map_err(|error| error_code(&error))?;
        let end = last_fetchable_offset(&log, query.isolation);
        if offsets.iter().all(|&offset| offset <= end) {
            return Ok(offsets);
        }
        let visible = offsets.into_iter().filter(|&offset| offset <= end);
        Ok(std::iter::once(end)
            .chain(visible.filter(|&offset| offset != end))
            .collect())
    }

    /// The largest epoch that is not after `epoch`, and its end on this leader; (-1, -1) if unknown.
    pub fn end_offset_for_leader_epoch(
        &self,
        name: &TopicPartition,
        current_leader_epoch: Option<LeaderEpoch>,
        epoch: LeaderEpoch,
    ) -> Result<(LeaderEpoch, Offset), ErrorCode> {
        self.partition(name)?
            .end_offset_for_epoch(current_leader_epoch, epoch)
    }
}

fn last_fetchable_offset(log: &UnifiedLog, isolation: FetchIsolation) -> Offset {
    match isolation {
        FetchIsolation::LogEnd => log.log_end_offset(),
        FetchIsolation::HighWatermark => log.high_watermark(),
        FetchIsolation::TxnCommitted => log.last_stable_offset(),
    }
}
