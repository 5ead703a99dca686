//! The log directories of one broker and the logs in them. Kafka 3.9: `LogManager`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::unified_log::{LogError, UnifiedLog};
use crate::common::clock::SharedClock;
use crate::common::ids::{Offset, TopicId, TopicPartition};
use crate::config::{BrokerConfig, LogConfig};

/// The log directories of one broker.
pub struct LogManager {}

#[allow(unused_variables, missing_docs, reason = "skeleton")]
impl LogManager {
    /// Locks the log dirs, loads every log in them. `topic_config` gives the configuration of a topic.
    pub fn open(
        config: &BrokerConfig,
        topic_config: &(dyn Fn(&str) -> LogConfig + Sync),
        clock: SharedClock,
    ) -> Result<Arc<Self>, LogError> {
        todo!()
    }
    pub fn get_log(&self, partition: &TopicPartition) -> Option<Arc<UnifiedLog>> {
        todo!()
    }
    pub fn all_logs(&self) -> Vec<Arc<UnifiedLog>> {
        todo!()
    }
    /// `is_new` is the controller's word that no replica existed here before (trap 15).
    pub fn get_or_create_log(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
        is_new: bool,
        config: LogConfig,
    ) -> Result<Arc<UnifiedLog>, LogError> {
        todo!()
    }
    /// Renames the directory to `-delete`, drops it from the checkpoints; the files go after `file.delete.delay.ms`.
    pub fn delete_log(&self, partition: &TopicPartition) -> Result<(), LogError> {
        todo!()
    }
    pub fn update_topic_config(&self, topic: &str, config: LogConfig) {
        todo!()
    }
    /// High watermark of a partition in `replication-offset-checkpoint`, read at start.
    pub fn checkpointed_high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        todo!()
    }
    /// Writes `replication-offset-checkpoint` of every live dir.
    pub fn checkpoint_high_watermarks(&self, high_watermarks: &HashMap<TopicPartition, Offset>) {
        todo!()
    }
    pub fn live_log_dirs(&self) -> Vec<PathBuf> {
        todo!()
    }
    /// Dirs that failed since the last call.
    pub fn take_failed_dirs(&self) -> Vec<PathBuf> {
        todo!()
    }
    /// Starts retention, flush, checkpoint and deletion threads.
    pub fn start_background(self: &Arc<Self>) {
        todo!()
    }
    /// Flushes and closes every log, writes checkpoints and the clean-shutdown marker.
    pub fn shutdown(&self) {
        todo!()
    }
}
