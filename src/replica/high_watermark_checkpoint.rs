//! Keeping the high watermarks on disk, so that a restarted replica knows what was committed.
//! Kafka 3.9: `ReplicaManager.checkpointHighWatermarks`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::manager::ReplicaManager;
use crate::common::blocking;
use crate::common::ids::{Offset, TopicPartition};

impl ReplicaManager {
    pub(super) async fn checkpoint_high_watermarks_forever(self: Arc<Self>) {
        let interval = self.config.replica_high_watermark_checkpoint_interval_ms;
        loop {
            tokio::time::sleep(Duration::from_millis(interval.max(1))).await;
            self.checkpoint_high_watermarks().await;
        }
    }

    /// Writes `replication-offset-checkpoint` in every live log dir.
    pub(super) async fn checkpoint_high_watermarks(self: &Arc<Self>) {
        let manager = self.clone();
        let write = move || {
            manager
                .log_manager
                .checkpoint_high_watermarks(&manager.high_watermarks())
        };
        if let Err(failure) = blocking::spawn(write).await {
            tracing::error!(%failure, "high watermarks were not written");
        }
    }

    /// Of every log. One that the controller has not yet told of keeps what it had: a request may bring the
    /// partitions in several parts (fact 31).
    fn high_watermarks(&self) -> HashMap<TopicPartition, Offset> {
        let known = |name: &TopicPartition| self.log_manager.checkpointed_high_watermark(name);
        let mut all: HashMap<_, _> = self
            .log_manager
            .all_logs()
            .iter()
            .filter_map(|log| Some((log.topic_partition().clone(), known(log.topic_partition())?)))
            .collect();
        for partition in self.online_partitions() {
            if let Some(log) = partition.log() {
                all.insert(partition.topic_partition().clone(), log.high_watermark());
            }
        }
        all
    }
}
