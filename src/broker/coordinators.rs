//! Owns the coordinators of one broker. They start after the replicas and stop before them.

use std::sync::Arc;

use futures::FutureExt;

use super::context::BrokerContext;
use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::coordinator::ReplicatedLog;
use crate::coordinator::group::GroupCoordinator;
use crate::coordinator::producer_ids::{ControllerBlocks, ProducerIdManager};
use crate::coordinator::transaction::{NetworkMarkerSender, TransactionCoordinator};
use crate::metadata::MetadataCache;
use crate::replica::{BrokerEpochSource, ReplicaManager};
use crate::zk::{ZkError, ZkStore, cluster};

/// Both coordinators.
#[derive(Clone)]
pub(super) struct Coordinators {
    pub(super) groups: Arc<GroupCoordinator>,
    pub(super) transactions: Arc<TransactionCoordinator>,
}

impl Coordinators {
    /// Starts both coordinators. Each has as many partitions as its topic has, or gets when it is created.
    pub(super) async fn start(
        context: &BrokerContext,
        replicas: &Arc<ReplicaManager>,
        metadata: &Arc<MetadataCache>,
        broker_epoch: BrokerEpochSource,
    ) -> Result<Self, ZkError> {
        let (config, clock) = (&*context.config, &context.clock);
        let log = |topic| Arc::new(ReplicatedLog::new(replicas.clone(), topic));
        let default = config.offsets_topic_num_partitions;
        let groups = GroupCoordinator::new(
            config.into(),
            partition_count(&*context.zk, GROUP_METADATA_TOPIC, default).await?,
            log(GROUP_METADATA_TOPIC),
            clock.clone(),
            &context.metrics,
        );
        let default = config.transaction_state_log_num_partitions;
        let blocks = ControllerBlocks::new(config, &context.channels, metadata.clone(), broker_epoch);
        let count = partition_count(&*context.zk, TRANSACTION_STATE_TOPIC, default).await?;
        replicas.verification().fix_partition_count(count);
        let zk = context.zk.clone();
        let count_now = move || {
            let zk = zk.clone();
            async move { partition_count(&*zk, TRANSACTION_STATE_TOPIC, default).await }.boxed()
        };
        let transactions = TransactionCoordinator::new(
            config.into(),
            (count, Box::new(count_now)),
            log(TRANSACTION_STATE_TOPIC),
            clock.clone(),
            metadata.clone(),
            &context.channels,
            ProducerIdManager::new(blocks, clock.clone()),
            Box::new(NetworkMarkerSender),
            &context.metrics,
        );
        groups.start();
        transactions.start();
        Ok(Self { groups, transactions })
    }

    pub(super) fn shutdown(&self) {
        self.groups.shutdown();
        self.transactions.shutdown();
    }
}

/// How many partitions a coordinator's topic has.
async fn partition_count(zk: &dyn ZkStore, topic: &str, default: i32) -> Result<i32, ZkError> {
    let topics = cluster::topic_assignments(zk, &[topic.to_owned()], false).await?;
    let existing = topics.values().next().map(|topic| topic.partitions.len() as i32);
    Ok(existing.unwrap_or(default))
}
