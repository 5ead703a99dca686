//! The front desk of all partitions on this broker. Kafka 3.9: `ReplicaManager`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::hooks::{BrokerEpochSource, ReplicaListener, TopicConfigs};
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::config::BrokerConfig;
use crate::log::{AppendError, AppendOrigin, LogAppendInfo, LogManager, UnifiedLog};
use crate::metadata::MetadataCache;

/// What became of one partition's records.
pub type AppendResult = Result<LogAppendInfo, AppendError>;

/// All partitions on this broker.
pub struct ReplicaManager {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl ReplicaManager {
    /// A manager without partitions: all of them come from the controller. `config.broker_id` is the resolved one.
    pub fn new(
        config: Arc<BrokerConfig>,
        log_manager: Arc<LogManager>,
        metadata: Arc<MetadataCache>,
        clock: SharedClock,
        topic_configs: TopicConfigs,
        broker_epoch: BrokerEpochSource,
    ) -> Arc<Self> {
        todo!()
    }
    /// Has `listener` told of every later change. All listeners are to be added before the first LeaderAndIsr.
    pub fn add_listener(&self, listener: Arc<dyn ReplicaListener>) {
        todo!()
    }
    /// Starts the background tasks: ISR expiry, AlterPartition; must be called within a runtime.
    pub fn start(self: &Arc<Self>) {
        todo!()
    }
    /// Stops fetchers and tasks and writes the high watermarks. The logs stay open.
    pub async fn shutdown(&self) {
        todo!()
    }
    /// Appends to the leaders of these partitions and waits as `required_acks` (0, 1, -1) demands.
    pub async fn append_records(
        &self,
        timeout: Duration,
        required_acks: i16,
        origin: AppendOrigin,
        internal_topics_allowed: bool,
        entries: Vec<(TopicPartition, Bytes)>,
    ) -> Vec<(TopicPartition, AppendResult)> {
        todo!()
    }
    /// The local log if this broker leads the partition, else the error for the client.
    pub fn leader_log(&self, partition: &TopicPartition) -> Result<Arc<UnifiedLog>, ErrorCode> {
        todo!()
    }
}
