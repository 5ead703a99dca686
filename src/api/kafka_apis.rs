//! The parts of the broker that the handlers work with. Kafka 3.9: the fields of `KafkaApis`.

use std::sync::Arc;

use tokio::sync::watch;

use super::declaration::Declaration;
use crate::admin::AdminManager;
use crate::common::clock::SharedClock;
use crate::config::BrokerConfig;
use crate::controller::ControllerHandle;
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::transaction::TransactionCoordinator;
use crate::metadata::MetadataCache;
use crate::replica::ReplicaManager;
use crate::zk::ZkStore;

/// The parts of the broker that the handlers work with.
pub struct Api {
    /// This broker's configuration; `broker_id` is the resolved one.
    pub config: Arc<BrokerConfig>,
    /// `/cluster/id`.
    pub cluster_id: String,
    /// The clock of the broker.
    pub clock: SharedClock,
    /// What the controller has told of the cluster.
    pub metadata: Arc<MetadataCache>,
    /// Partitions on this broker.
    pub replicas: Arc<ReplicaManager>,
    /// Groups on this broker.
    pub groups: Arc<GroupCoordinator>,
    /// Transactions on this broker.
    pub transactions: Arc<TransactionCoordinator>,
    /// The controller module of this broker, active or not.
    pub controller: ControllerHandle,
    /// Changes topics and configurations.
    pub admin: Arc<AdminManager>,
    /// What each handler declares: [`DECLARATIONS`](super::DECLARATIONS), from which ApiVersions is answered.
    pub declarations: &'static [&'static Declaration],
    /// zkVersion of `/feature`, -1 while unknown; the task that watches the znode keeps it up to date.
    pub features_epoch: watch::Receiver<i64>,
    /// The ZooKeeper session.
    pub zk: Arc<dyn ZkStore>,
}
