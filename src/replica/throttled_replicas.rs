//! Which replicas are throttled, and when (KIP-73). Kafka 3.9: `ReplicaManager.shouldLeaderThrottle`,
//! `TopicConfigHandler.parseThrottledPartitions`.
//!
//! A leader gives a throttled follower nothing while the quota is exceeded, unless that follower is in sync: it would
//! fall out of the ISR for nothing. What in-sync followers get counts all the same.

use super::fetch::{FetchParams, FetchPartition};
use super::manager::ReplicaManager;
use crate::cluster::FetchPartitionData;
use crate::cluster::Partition;
use crate::common::ids::{BrokerId, TopicPartition};

/// Whether `*.replication.throttled.replicas` names this partition's replica on this broker: `*`, or
/// `partition:broker` among others.
fn is_listed(list: &str, partition: i32, broker: BrokerId) -> bool {
    let is_it = |item: &str| {
        let mut numbers = item.trim().split(':').map(str::parse::<i32>);
        numbers.next() == Some(Ok(partition)) && numbers.next() == Some(Ok(broker))
    };
    list.trim() == "*" || (!list.is_empty() && list.split(',').any(is_it))
}

impl ReplicaManager {
    /// Whether the leader's quota allows this follower nothing now.
    pub(super) fn should_leader_throttle(&self, partition: &Partition, follower: BrokerId) -> bool {
        self.leader_quota.is_exceeded()
            && self.is_throttled_leader(partition)
            && !partition.is_in_sync(follower)
    }

    fn is_throttled_leader(&self, partition: &Partition) -> bool {
        partition.log().is_some_and(|log| {
            let config = log.config();
            let number = partition.topic_partition().partition;
            is_listed(
                &config.leader_replication_throttled_replicas,
                number,
                self.config.broker_id,
            )
        })
    }

    /// Whether this broker throttles what it fetches of a partition.
    pub(super) fn is_throttled_follower(&self, partition: &Partition) -> bool {
        partition.log().is_some_and(|log| {
            let config = log.config();
            let number = partition.topic_partition().partition;
            is_listed(
                &config.follower_replication_throttled_replicas,
                number,
                self.config.broker_id,
            )
        })
    }

    /// Counts what a follower is given.
    pub(super) fn record_leader_throttle(
        &self,
        params: &FetchParams,
        partitions: &[FetchPartition],
        data: &[FetchPartitionData],
    ) {
        if !params.is_from_follower() || !self.leader_quota.is_limited() {
            return;
        }
        let throttled = |name: &TopicPartition| {
            let partition = self.partition(name);
            partition.is_ok_and(|partition| self.is_throttled_leader(&partition))
        };
        let given = partitions.iter().zip(data).filter(|(_, data)| data.size() > 0);
        let given = given.filter(|(wanted, _)| throttled(&wanted.topic_partition));
        let bytes: usize = given.map(|(_, data)| data.size()).sum();
        if bytes > 0 {
            self.leader_quota.record(bytes as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_partitions_and_brokers() {
        for (list, listed) in [
            ("", false),
            ("*", true),
            ("3:1", true),
            ("0:2, 3:1", true),
            ("3:2", false),
            ("1:3", false),
            ("3", false),
        ] {
            assert_eq!(is_listed(list, 3, 1), listed, "{list:?}");
        }
    }
}
