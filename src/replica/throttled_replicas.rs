//! Owns the replication quotas, and decides which replicas they throttle (KIP-73). Kafka 3.9:
//! `QuotaFactory.QuotaManagers`, `ReplicaManager.shouldLeaderThrottle`, `TopicConfigHandler.parseThrottledPartitions`.
//!
//! While the quota is exceeded, a leader gives nothing to a throttled follower that is not in sync. In-sync followers
//! still get records, because throttling would remove them from the ISR needlessly. Their bytes count against the quota
//! too.

use std::sync::Arc;

use super::replication_quota::ReplicationQuota;
use crate::cluster::Partition;
use crate::common::clock::SharedClock;
use crate::common::ids::BrokerId;
use crate::config::{BrokerConfig, LogConfig};

/// Whether the value of `*.replication.throttled.replicas` names this partition's replica on this broker: the list is
/// `*`, or it has the entry `partition:broker`.
fn is_listed(list: &str, partition: i32, broker: BrokerId) -> bool {
    let is_it = |item: &str| {
        let mut numbers = item.trim().split(':').map(str::parse::<i32>);
        numbers.next() == Some(Ok(partition)) && numbers.next() == Some(Ok(broker))
    };
    list.trim() == "*" || (!list.is_empty() && list.split(',').any(is_it))
}

/// The quotas of one broker.
pub(super) struct ReplicationQuotas {
    broker_id: BrokerId,
    /// For records that followers fetch from this broker.
    pub(super) leader: ReplicationQuota,
    /// For records that this broker fetches from leaders.
    pub(super) follower: ReplicationQuota,
    /// For records that are copied between log dirs.
    pub(super) alter_log_dirs: Arc<ReplicationQuota>,
}

impl ReplicationQuotas {
    /// Creates quotas without limits.
    pub(super) fn new(config: &BrokerConfig, clock: &SharedClock) -> Self {
        let replication = || {
            let seconds = config.replication_quota_window_size_seconds;
            ReplicationQuota::new(clock.clone(), config.replication_quota_window_num, seconds)
        };
        Self {
            broker_id: config.broker_id,
            leader: replication(),
            follower: replication(),
            alter_log_dirs: Arc::new(ReplicationQuota::new(
                clock.clone(),
                config.alter_log_dirs_replication_quota_window_num,
                config.alter_log_dirs_replication_quota_window_size_seconds,
            )),
        }
    }

    /// Applies the limits in `config`.
    pub(super) fn reconfigure(&self, config: &BrokerConfig) {
        self.alter_log_dirs
            .set_limit(config.replica_alter_log_dirs_io_max_bytes_per_second);
        self.leader.set_limit(config.leader_replication_throttled_rate);
        self.follower
            .set_limit(config.follower_replication_throttled_rate);
    }

    /// Whether the leader must give this follower nothing now.
    pub(super) fn should_leader_throttle(&self, partition: &Partition, follower: BrokerId) -> bool {
        self.leader.is_exceeded() && self.is_throttled_leader(partition) && !partition.is_in_sync(follower)
    }

    /// Whether this broker throttles the fetches of followers from a partition.
    pub(super) fn is_throttled_leader(&self, partition: &Partition) -> bool {
        self.is_throttled(partition, |config| &config.leader_replication_throttled_replicas)
    }

    /// Whether this broker throttles its own fetches of a partition.
    pub(super) fn is_throttled_follower(&self, partition: &Partition) -> bool {
        self.is_throttled(partition, |config| {
            &config.follower_replication_throttled_replicas
        })
    }

    fn is_throttled(&self, partition: &Partition, list: impl Fn(&LogConfig) -> &str) -> bool {
        partition.log().is_some_and(|log| {
            let number = partition.topic_partition().partition;
            is_listed(list(&log.config()), number, self.broker_id)
        })
    }

    /// Counts the bytes that were fetched from a partition's leader.
    pub(super) fn record_follower(&self, partition: &Partition, bytes: usize) {
        if self.follower.is_limited() && self.is_throttled_follower(partition) {
            self.follower.record(bytes as u64);
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
