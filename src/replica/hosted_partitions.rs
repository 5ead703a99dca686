//! Owns the partitions that the controller has placed on this broker. Kafka 3.9: `HostedPartition`,
//! `ReplicaManager.allPartitions`.

use std::sync::Arc;

use dashmap::DashMap;

use crate::cluster::Partition;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, LeaderEpoch, TopicName, TopicPartition};
#[cfg(test)]
use crate::common::seeded;
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;

/// A partition that the controller has placed on this broker.
#[derive(Clone)]
pub(super) enum HostedPartition {
    /// The partition is served.
    Online(Arc<Partition>),
    /// Its log dir has failed.
    Offline,
}

/// All hosted partitions.
pub(super) struct HostedPartitions {
    broker_id: BrokerId,
    max_lag_ms: i64,
    metadata: Arc<MetadataCache>,
    partitions: DashMap<TopicPartition, HostedPartition>,
}

impl HostedPartitions {
    /// Creates an empty set.
    pub(super) fn new(config: &BrokerConfig, metadata: Arc<MetadataCache>) -> Self {
        Self {
            broker_id: config.broker_id,
            max_lag_ms: i64::try_from(config.replica_lag_time_max_ms).unwrap_or(i64::MAX),
            metadata,
            partitions: DashMap::new(),
        }
    }

    /// The partition of this name, if the controller has placed it here.
    pub(super) fn get(&self, name: &TopicPartition) -> Option<HostedPartition> {
        self.partitions.get(name).map(|hosted| hosted.clone())
    }

    /// Removes a partition; `None` if it was not served.
    pub(super) fn remove(&self, name: &TopicPartition) -> Option<Arc<Partition>> {
        match self.partitions.remove(name)? {
            (_, HostedPartition::Online(partition)) => Some(partition),
            (_, HostedPartition::Offline) => None,
        }
    }

    /// Stops serving a partition whose log dir has failed; `None` if it was not served.
    pub(super) fn set_offline(&self, name: &TopicPartition) -> Option<Arc<Partition>> {
        match self.partitions.insert(name.clone(), HostedPartition::Offline)? {
            HostedPartition::Online(partition) => Some(partition),
            HostedPartition::Offline => None,
        }
    }

    /// The number of offline partitions.
    pub(super) fn offline(&self) -> usize {
        let offline = |hosted: &HostedPartition| matches!(hosted, HostedPartition::Offline);
        self.partitions
            .iter()
            .filter(|entry| offline(entry.value()))
            .count()
    }

    /// Calls `with` with the topic of each partition.
    pub(super) fn for_each_topic(&self, mut with: impl FnMut(&TopicName)) {
        for hosted in &self.partitions {
            with(&hosted.key().topic);
        }
    }

    /// The partition, created if it is not hosted yet.
    pub(super) fn host(&self, name: &TopicPartition) -> Arc<Partition> {
        let new = || {
            HostedPartition::Online(Arc::new(Partition::new(
                name.clone(),
                self.broker_id,
                self.max_lag_ms,
            )))
        };
        let mut hosted = self.partitions.entry(name.clone()).or_insert_with(new);
        loop {
            match hosted.value() {
                HostedPartition::Online(partition) => return partition.clone(),
                // Only a partition that failed after its decision was checked gets here; its next use fails again.
                HostedPartition::Offline => *hosted.value_mut() = new(),
            }
        }
    }

    /// The partition, or the error for a client that expects it on this broker.
    pub(super) fn online(&self, partition: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        match self.partitions.get(partition).as_deref() {
            Some(HostedPartition::Online(partition)) => Ok(partition.clone()),
            Some(HostedPartition::Offline) => Err(ErrorCode::KafkaStorageError),
            None => {
                let known = self
                    .metadata
                    .snapshot()
                    .partition(&partition.topic, partition.partition)
                    .is_some();
                Err(if known {
                    ErrorCode::NotLeaderOrFollower
                } else {
                    ErrorCode::UnknownTopicOrPartition
                })
            }
        }
    }

    /// The leader and leader epoch that this broker knows, for a client that asked the wrong broker (KIP-951).
    pub(super) fn current_leader(&self, partition: &TopicPartition) -> (BrokerId, LeaderEpoch) {
        match self.partitions.get(partition).as_deref() {
            Some(HostedPartition::Online(partition)) => partition.leader_and_epoch(),
            _ => match self
                .metadata
                .snapshot()
                .partition(&partition.topic, partition.partition)
            {
                Some(known) => (
                    known.state.leader_and_isr.leader,
                    known.state.leader_and_isr.leader_epoch,
                ),
                None => (-1, -1),
            },
        }
    }

    /// Every partition that is served.
    pub(super) fn all_online(&self) -> Vec<Arc<Partition>> {
        let online = |hosted: &HostedPartition| match hosted {
            HostedPartition::Online(partition) => Some(partition.clone()),
            HostedPartition::Offline => None,
        };
        let online = self.partitions.iter().filter_map(|entry| online(entry.value()));
        let online: Vec<_> = online.collect();
        #[cfg(test)]
        let online = seeded::arranged(online, |partition| partition.topic_partition().clone());
        online
    }
}
