//! Chooses the replica that a consumer should read from: an in-sync replica in its own rack (KIP-392). Kafka 3.9:
//! `ReplicaManager.findPreferredReadReplica`, `RackAwareReplicaSelector`.

use super::fetch_params::{FetchParams, FetchPartition};
use super::manager::ReplicaManager;
use crate::cluster::ReadReplica;
use crate::common::ids::BrokerId;
use crate::config::RACK_AWARE_REPLICA_SELECTOR;
use crate::metadata::MetadataSnapshot;

impl ReplicaManager {
    /// The follower that a consumer should read from; `None` if it should read from the leader, which is this broker.
    pub(super) fn preferred_read_replica(
        &self,
        params: &FetchParams,
        wanted: &FetchPartition,
        snapshot: &MetadataSnapshot,
    ) -> Option<BrokerId> {
        if self.config.replica_selector_class.as_deref() != Some(RACK_AWARE_REPLICA_SELECTOR) {
            return None;
        }
        let client = params.client.as_ref().filter(|client| !client.rack.is_empty())?;
        let partition = self.partition(&wanted.topic_partition).ok()?;
        let replicas = partition.read_replicas(wanted.fetch_offset, self.clock.monotonic_ms())?;
        select(&replicas, |broker| {
            let broker = snapshot.brokers.get(&broker)?;
            broker.endpoint(&client.listener)?;
            Some(broker.rack.as_deref()? == client.rack)
        })
    }
}

/// The best replica in the consumer's rack. `in_rack` tells whether a broker is in that rack; it is `None` for a broker
/// that has no rack or that the consumer cannot reach. The leader is preferred. Among followers, the replica with the
/// most records wins, then the one that caught up last, then the largest id.
fn select(replicas: &[ReadReplica], in_rack: impl Fn(BrokerId) -> Option<bool>) -> Option<BrokerId> {
    let (leader, followers) = replicas.split_first()?;
    if in_rack(leader.broker_id) == Some(true) {
        return None;
    }
    let near = followers
        .iter()
        .filter(|replica| in_rack(replica.broker_id) == Some(true));
    let best = near.max_by_key(|r| (r.log_end_offset, std::cmp::Reverse(r.lag_ms), r.broker_id));
    best.map(|replica| replica.broker_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rack_decides_then_the_log_then_time_then_the_id() {
        let replica = |broker_id, log_end_offset, lag_ms| ReadReplica {
            broker_id,
            log_end_offset,
            lag_ms,
        };
        let leader = replica(1, 100, 0);
        let all = [
            leader,
            replica(2, 90, 5),
            replica(3, 95, 9),
            replica(4, 95, 7),
            replica(5, 95, 7),
        ];
        let rack = |near: &'static [BrokerId]| move |id: BrokerId| (id != 9).then(|| near.contains(&id));
        for (near, expected) in [
            (&[1, 2, 3][..], None),
            (&[2][..], Some(2)),
            (&[2, 3][..], Some(3)),
            (&[3, 4][..], Some(4)),
            (&[3, 4, 5][..], Some(5)),
            (&[][..], None),
        ] {
            assert_eq!(select(&all, rack(near)), expected, "{near:?}");
        }
        assert_eq!(
            select(&[leader, replica(9, 100, 0)], |_| None),
            None,
            "not reachable"
        );
    }
}
