//! The controller's ZooKeeper client. It pipelines requests, and each write checks the version of `/controller_epoch`,
//! so that a controller of an earlier epoch cannot change anything (fact 4). Kafka 3.9: the parts of `KafkaZkClient`
//! that take an `expectedControllerEpochZkVersion`.
//!
//! This file has the reads. The folder has the guarded writes, the writes of each kind of znode, and the registration
//! under `/controller`.

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

/// The controller's reads and guarded writes.
pub struct ControllerZkClient {
    store: Arc<dyn ZkStore>,
    /// The version of `/controller_epoch` since this broker's election. `None` while the broker is not the controller:
    /// every write fails with [`super::error::ControllerError::Moved`].
    guard: Option<i32>,
}

impl ControllerZkClient {
    /// A client without a guard, which can only read.
    pub fn new(store: Arc<dyn ZkStore>) -> Self {
        Self { store, guard: None }
    }

    /// The store, for reads and for writes that are not the controller's.
    pub fn store(&self) -> &dyn ZkStore {
        &*self.store
    }

    /// Sets the version of `/controller_epoch` that writes check; `None` forbids writes.
    pub fn set_guard(&mut self, epoch_zk_version: Option<i32>) {
        self.guard = epoch_zk_version;
    }

    /// The registered brokers; sets watches on the list and each registration. Leaves out a registration that cannot be
    /// read: no other broker can connect to such a broker (fact 6).
    pub async fn brokers(&self) -> Result<Vec<LiveBroker>, ZkError> {
        let ids = cluster::broker_ids(self.store(), true).await?;
        self.brokers_with(&ids).await
    }

    /// One registration; sets a watch.
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

    /// The names of all topics; sets a watch.
    pub async fn topics(&self) -> Result<BTreeSet<TopicName>, ZkError> {
        let names = cluster::topics(self.store(), true).await?;
        Ok(names.into_iter().map(TopicName::from).collect())
    }

    /// Ids and assignments of topics; sets watches. Leaves out topics that are gone or cannot be read.
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

    /// Whether a topic allows unclean elections now. A configuration that cannot be read forbids them.
    pub async fn unclean_election_enabled(&self, topic: &str, default: bool) -> Result<bool, ZkError> {
        match cluster::config(self.store(), ConfigEntityType::Topics, topic).await {
            Ok(entity) => {
                let own = entity.config.get("unclean.leader.election.enable");
                Ok(own.map_or(default, |value| value.trim().eq_ignore_ascii_case("true")))
            }
            Err(ZkError::Malformed { error, .. }) => {
                error!(topic, %error, "unreadable configuration, the topic allows no unclean election");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The children of a znode of notifications, with their data; sets a watch.
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
