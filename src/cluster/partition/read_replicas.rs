//! Finds the replicas that could serve a consumer in place of the leader (KIP-392). Kafka 3.9:
//! `ReplicaManager.findPreferredReadReplica`, `Partition.fetchOffsetSnapshot`.

use super::Partition;
use crate::cluster::read::FetchPartitionData;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, Offset};

/// A replica that a consumer could read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReplica {
    /// The broker of the replica.
    pub broker_id: BrokerId,
    /// The end of its log, as far as the leader knows.
    pub log_end_offset: Offset,
    /// The time in milliseconds since the replica last had all records of the leader.
    pub lag_ms: i64,
}

impl Partition {
    /// The leader, first, and the in-sync followers that have `offset`; `None` if this broker does not lead.
    pub fn read_replicas(&self, offset: Offset, now_ms: i64) -> Option<Vec<ReadReplica>> {
        let inner = self.inner.lock();
        let leader = ReadReplica {
            broker_id: inner.state.leader(),
            log_end_offset: inner.leader_log().ok()?.log_end_offset(),
            lag_ms: 0,
        };
        let in_sync = inner.state.isr().committed();
        let followers = inner.state.remote_replicas().iter().filter(|replica| {
            // A replica that lags would be chosen again and again, and its reader would fall behind with it.
            in_sync.contains(&replica.broker_id())
                && (replica.log_start_offset()..=replica.log_end_offset()).contains(&offset)
        });
        let followers = followers.map(|replica| ReadReplica {
            broker_id: replica.broker_id(),
            log_end_offset: replica.log_end_offset(),
            lag_ms: replica.last_caught_up_ms().map_or(i64::MAX, |at| now_ms - at),
        });
        Some(std::iter::once(leader).chain(followers).collect())
    }

    /// The offsets for the answer of a fetch that reads nothing because its reader is sent to another replica.
    pub fn offset_snapshot(
        &self,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<FetchPartitionData, ErrorCode> {
        let inner = self.inner.lock();
        let log = inner.local_log(current_leader_epoch, false)?;
        Ok(FetchPartitionData::of_log(log))
    }
}
