//! The request handlers, one file for each Kafka API, and the match that picks one. Kafka 3.9: `KafkaApis`.

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod allocate_producer_ids;
pub mod alter_configs;
pub mod alter_partition;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod api_versions;
mod authorized_operations;
pub mod controlled_shutdown;
pub mod create_partitions;
pub mod create_topics;
mod current_leader;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_transactions;
mod dispatch;
pub mod elect_leaders;
pub mod end_txn;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leader_and_isr;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
mod partition_codes;
mod planned;
pub mod produce;
#[cfg(test)]
mod replication_tests;
pub mod stop_replica;
mod switched_off;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod update_features;
pub mod update_metadata;
pub mod write_txn_markers;

use std::sync::Arc;

use tokio::sync::watch;

use crate::admin::AdminManager;
use crate::common::clock::SharedClock;
use crate::config::BrokerConfig;
use crate::controller::ControllerHandle;
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::transaction::TransactionCoordinator;
use crate::metadata::MetadataCache;
pub use crate::network::RequestContext;
use crate::replica::ReplicaManager;
use crate::zk::ZkStore;

/// What the handlers work with.
pub struct Api {
    /// This broker's configuration; `broker_id` is the resolved one.
    pub config: Arc<BrokerConfig>,
    /// `/cluster/id`.
    pub cluster_id: String,
    /// Time.
    pub clock: SharedClock,
    /// The cluster as the controller told it.
    pub metadata: Arc<MetadataCache>,
    /// Partitions on this broker.
    pub replicas: Arc<ReplicaManager>,
    /// Groups on this broker.
    pub groups: Arc<GroupCoordinator>,
    /// Transactions on this broker.
    pub transactions: Arc<TransactionCoordinator>,
    /// The controller module of this broker, active or not.
    pub controller: ControllerHandle,
    /// Topics and configurations.
    pub admin: Arc<AdminManager>,
    /// zkVersion of `/feature`, -1 while unknown; the task that watches the znode keeps it up to date.
    pub features_epoch: watch::Receiver<i64>,
    /// ZooKeeper.
    pub zk: Arc<dyn ZkStore>,
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
