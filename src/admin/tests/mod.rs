//! Tests topics and configurations against a ZooKeeper in memory; the test acts as the controller.

mod configs;
mod dynamic;
mod loggers;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::describe_configs::ConfigSource;
use super::*;
use crate::common::clock::ManualClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, TopicPartition};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderIsrAndControllerEpoch};
use crate::common::loggers::Loggers;
use crate::config::{BrokerConfig, Properties};
use crate::metadata::{BrokerMetadata, MetadataCache, PartitionMetadata};
use crate::zk::memory::{MemorySession, MemoryZooKeeper};
use crate::zk::znode::{ControllerRegistration, TopicAssignment};
use crate::zk::{CreateMode, ZkStore, cluster, paths};

/// One broker's view of a cluster, and the ZooKeeper behind it.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) zookeeper: MemoryZooKeeper,
    pub(crate) session: Arc<MemorySession>,
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) configs: Arc<DynamicConfigs>,
    pub(crate) admin: Arc<AdminManager>,
}

impl World {
    /// Broker 1, the controller of a cluster of three.
    pub(crate) async fn new() -> Self {
        Self::with_properties(&[]).await
    }

    /// The same with further properties.
    pub(crate) async fn with_properties(more: &[(&str, &str)]) -> Self {
        let mut properties = Properties::from([
            ("broker.id", "1"),
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("zookeeper.connect", "127.0.0.1:2181"),
        ]);
        for (key, value) in more {
            properties.insert(key.to_string(), value.to_string(), crate::config::Origin::Program);
        }
        let (config, _) = BrokerConfig::from_properties(&properties).unwrap();
        let clock = ManualClock::at(1_700_000_000_000);
        let zookeeper = MemoryZooKeeper::new(clock.clone());
        let session = zookeeper.connect();
        cluster::create_persistent_paths(&*session).await.unwrap();
        let registration = ControllerRegistration::new(1, 0).encode();
        session
            .create(paths::CONTROLLER, registration, CreateMode::Ephemeral)
            .await
            .unwrap();
        let metadata = Arc::new(MetadataCache::default());
        metadata.update(|snapshot| {
            for id in 1..=3 {
                let broker = BrokerMetadata {
                    id,
                    endpoints: vec![],
                    rack: None,
                };
                snapshot.brokers.insert(id, broker);
            }
        });
        let configs = Arc::new(DynamicConfigs::new(Arc::new(config)));
        let admin = Arc::new(AdminManager::new(
            session.clone(),
            metadata.clone(),
            configs.clone(),
            Loggers::default(),
        ));
        Self {
            clock,
            zookeeper,
            session,
            metadata,
            configs,
            admin,
        }
    }

    /// Acts as the controller for a new topic: gives every partition a leader and updates the metadata cache.
    pub(crate) async fn lead(&self, topic: &str) {
        let znode = self.topic(topic).await;
        self.metadata.update(|snapshot| {
            for (&partition, assignment) in &znode.partitions {
                let replicas = assignment.replicas.clone();
                let state = PartitionMetadata {
                    state: LeaderIsrAndControllerEpoch {
                        leader_and_isr: LeaderAndIsr::initial(replicas[0], replicas.clone()),
                        controller_epoch: 1,
                    },
                    replicas,
                    offline_replicas: vec![],
                };
                let id = znode.topic_id.unwrap_or_default();
                snapshot.upsert_partition(&TopicPartition::new(topic, partition), id, state);
            }
        });
        self.admin.on_metadata_update();
    }

    /// Acts as the controller for a deleted topic.
    pub(crate) fn forget(&self, topic: &str) {
        self.metadata.update(|snapshot| {
            let partitions: Vec<i32> = snapshot.topics[topic].partitions.keys().copied().collect();
            for partition in partitions {
                snapshot.remove_partition(&TopicPartition::new(topic, partition));
            }
        });
        self.admin.on_metadata_update();
    }

    /// Creates a topic with one partition and gives it a leader.
    pub(crate) async fn topic_exists(&self, topic: &str) {
        let new = NewTopic {
            name: topic.into(),
            partitions: Some(1),
            replication_factor: Some(1),
            ..NewTopic::default()
        };
        let outcomes = self
            .admin
            .create_topics(&[new], std::time::Duration::ZERO, false)
            .await;
        assert_eq!(outcomes[0].error, Some(ErrorCode::RequestTimedOut.into()));
        self.lead(topic).await;
    }

    pub(crate) async fn topic(&self, topic: &str) -> TopicAssignment {
        let (data, _) = self
            .session
            .get(&paths::topic(topic), false)
            .await
            .unwrap()
            .unwrap();
        TopicAssignment::decode(&data).unwrap()
    }

    /// The text of a znode.
    pub(crate) fn znode(&self, path: &str) -> Option<String> {
        let data = self.zookeeper.snapshot().remove(path)?;
        Some(String::from_utf8(data.to_vec()).unwrap())
    }

    /// The present notifications, in order.
    pub(crate) fn notifications(&self) -> Vec<String> {
        let snapshot = self.zookeeper.snapshot();
        let below = format!("{}/", paths::CONFIG_CHANGES);
        let found = snapshot.iter().filter(|(path, _)| path.starts_with(&below));
        found
            .map(|(_, data)| String::from_utf8(data.to_vec()).unwrap())
            .collect()
    }
}

pub(crate) fn strings(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries
        .iter()
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .collect()
}

pub(crate) fn by_partition(assignments: &[(i32, &[BrokerId])]) -> BTreeMap<i32, Vec<BrokerId>> {
    assignments
        .iter()
        .map(|(p, replicas)| (*p, replicas.to_vec()))
        .collect()
}
