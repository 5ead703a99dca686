//! The front desk of all partitions on this broker. Kafka 3.9: `ReplicaManager`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::log::{AppendError, AppendOrigin, LogAppendInfo, UnifiedLog};

/// What became of one partition's records.
pub type AppendResult = Result<LogAppendInfo, AppendError>;

/// All partitions on this broker.
pub struct ReplicaManager {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl ReplicaManager {
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
