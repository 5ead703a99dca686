//! Owns the state for the administration of topics and configurations, and waits until a change has taken effect. Kafka
//! 3.9: `ZkAdminManager`, `DelayedCreatePartitions`, `DelayedDeleteTopics`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::assignment::AssignableBroker;
use super::dynamic_configs::DynamicConfigs;
use crate::common::ids::{NO_BROKER, TopicName};
use crate::common::loggers::Loggers;
use crate::metadata::{MetadataCache, MetadataSnapshot};
use crate::purgatory::Purgatory;
use crate::zk::ZkStore;

/// Writes topics and configurations to ZooKeeper.
pub struct AdminManager {
    pub(super) zk: Arc<dyn ZkStore>,
    pub(super) metadata: Arc<MetadataCache>,
    pub(super) configs: Arc<DynamicConfigs>,
    /// The loggers of the process, which may run several brokers.
    pub(super) loggers: Loggers,
    /// Requests that wait until a topic appears in the metadata cache or is gone from it.
    pub(super) waiting: Purgatory<TopicName>,
    /// Held while users are read, changed and written: the keys of a user share one znode.
    pub(super) changing_users: tokio::sync::Mutex<()>,
    /// Topics that are being created on demand right now.
    pub(super) in_flight: Mutex<HashSet<TopicName>>,
}

impl AdminManager {
    /// Creates a manager that sees the cluster through `metadata`. A caller that updates the cache must call
    /// [`AdminManager::on_metadata_update`] afterwards.
    pub fn new(
        zk: Arc<dyn ZkStore>,
        metadata: Arc<MetadataCache>,
        configs: Arc<DynamicConfigs>,
        loggers: Loggers,
    ) -> Self {
        Self {
            zk,
            metadata,
            configs,
            loggers,
            waiting: Purgatory::default(),
            changing_users: tokio::sync::Mutex::default(),
            in_flight: Mutex::default(),
        }
    }

    /// The current configurations.
    pub fn configs(&self) -> &Arc<DynamicConfigs> {
        &self.configs
    }

    /// Makes every waiting request check its topics again. Must be called after each UpdateMetadata.
    pub fn on_metadata_update(&self) {
        self.waiting.wake_all();
    }

    /// Waits until every topic passes the check, at most for this time.
    pub async fn wait_for(
        &self,
        topics: &[TopicName],
        timeout: Duration,
        passes: impl Fn(&MetadataSnapshot, &str) -> bool,
    ) {
        let try_complete = || {
            let snapshot = self.metadata.snapshot();
            topics.iter().all(|topic| passes(&snapshot, topic)).then_some(())
        };
        self.waiting
            .wait(topics.iter().cloned(), timeout, try_complete)
            .await;
    }

    /// The brokers that are alive, by id.
    pub(super) fn assignable_brokers(&self) -> Vec<AssignableBroker> {
        let snapshot = self.metadata.snapshot();
        let broker = |b: &crate::metadata::BrokerMetadata| AssignableBroker {
            id: b.id,
            rack: b.rack.clone(),
        };
        snapshot.brokers.values().map(broker).collect()
    }
}

/// Whether the partitions 0 to `count` - 1 of a topic all have a leader.
pub(super) fn has_leaders(snapshot: &MetadataSnapshot, topic: &str, count: usize) -> bool {
    (0..count).all(|partition| {
        let partition = i32::try_from(partition)
            .ok()
            .and_then(|p| snapshot.partition(topic, p));
        partition.is_some_and(|p| p.state.leader_and_isr.leader != NO_BROKER)
    })
}
