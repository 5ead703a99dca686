//! The controller's reads and writes in ZooKeeper: pipelined, and every write guarded by the version of
//! `/controller_epoch`, so that a controller of the past changes nothing (fact 4).
//! Kafka 3.9: the parts of `KafkaZkClient` that take an `expectedControllerEpochZkVersion`.
//!
//! This file has the reads; the folder has the guarded writes, the znodes that are written with them, and the
//! registration under `/controller`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use tracing::error;

use super::context::LiveBroker;
use crate::common::ids::{BrokerEpoch, BrokerId, TopicName};
use crate::metadata::BrokerMetadata;
use crate::zk::paths::{self, ConfigEntityType};
use crate::zk::znode::{BrokerInfo, TopicAssignment};
use crate::zk::{ZkError, ZkStore, cluster};

mod guarded_write;
mod registration;
mod znodes;

/// ZooKeeper as the controller sees it.
pub struct ControllerZkClient {
    store: Arc<dyn ZkStore>,
    /// Version of `/controller_epoch` since our election; `None` while we are not the controller, when every
    /// write fails with [`super::error::ControllerError::Moved`].
    guard: Option<i32>,
}

impl ControllerZkClient {
    /// A client without a guard: it reads only.
    pub fn new(store: Arc<dyn ZkStore>) -> Self {
        Self { store, guard: None }
    }

    /// The store, for what is not a controller's write.
    pub fn store(&self) -> &dyn ZkStore {
        &*self.store
    }

    /// From now on writes check this version of `/controller_epoch`; `None` forbids them.
    pub fn set_guard(&mut self, epoch_zk_version: Option<i32>) {
        self.guard = epoch_zk_version;
    }

    /// The registered brokers; the list and each registration are watched. One that cannot be read counts as
    /// absent: a broker that nobody can reach (fact 6).
    pub async fn brokers(&self) -> Result<Vec<LiveBroker>, ZkError> {
        let ids = cluster::broker_ids(self.store(), true).await?;
        self.brokers_with(&ids).await
    }

    /// One registration; watched.
    pub async fn broker(&self, id: BrokerId) -> Result<Option<LiveBroker>, ZkError> {
        Ok(self.brokers_with(&[id]).await?.pop())
    }

    async fn brokers_with(&self, ids: &[BrokerId]) -> Result<Vec<LiveBroker>, ZkError> {
        let brokers = cluster::brokers(self.store(), ids, true).await?;
        let live = |(id, (info, epoch)): (BrokerId, (BrokerInfo, BrokerEpoch))| LiveBroker {
            metadata: BrokerMetadata {
                id,
                endpoints: info.endpoints,
                rack: info.rack,
            },
            epoch,
        };
        Ok(brokers.into_iter().map(live).collect())
    }

    /// The names of all topics; watched.
    pub async fn topics(&self) -> Result<BTreeSet<TopicName>, ZkError> {
        let names = cluster::topics(self.store(), true).await?;
        Ok(names.into_iter().map(TopicName::from).collect())
    }

    /// Ids and assignments of topics; watched. A topic that is gone or cannot be read is left out.
    pub async fn topic_assignments(
        &self,
        topics: &[TopicName],
    ) -> Result<Vec<(TopicName, TopicAssignment)>, ZkError> {
        let names: Vec<_> = topics.iter().map(|t| t.to_string()).collect();
        let found = cluster::topic_assignments(self.store(), &names, true).await?;
        Ok(found
            .into_iter()
            .map(|(topic, a)| (TopicName::from(topic), a))
            .collect())
    }

    /// Whether a topic allows unclean elections at this moment. Unreadable configuration forbids them.
    pub async fn unclean_election_enabled(&self, topic: &str, default: bool) -> Result<bool, ZkError> {
        match cluster::config(self.store(), ConfigEntityType::Topics, topic).await {
            Ok(entity) => {
                let own = entity.config.get("unclean.leader.election.enable");
                Ok(own.map_or(default, |value| value.trim().eq_ignore_ascii_case("true")))
            }
            Err(ZkError::Malformed { error, .. }) => {
                error!(topic, %error, "unreadable configuration, no unclean election");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The children of a znode of notifications, watched, with their data.
    pub async fn notifications(&self, parent: &str) -> Result<Vec<(String, Bytes)>, ZkError> {
        let names = cluster::children(self.store(), parent, true).await?;
        let reads: Vec<_> = names
            .iter()
            .map(|name| self.store.get(&paths::child(parent, name), false))
            .collect();
        let mut notifications = Vec::with_capacity(names.len());
        for (name, read) in names.into_iter().zip(join_all(reads).await) {
            if let Some((data, _)) = read? {
                notifications.push((name, data));
            }
        }
        Ok(notifications)
    }
}
