//! Log dirs that have failed: their partitions go offline, the rest goes on.
//! Kafka 3.9: `ReplicaManager.handleLogDirFailure`, `LogDirFailureHandler`.

use std::path::PathBuf;
use std::sync::Arc;

use super::manager::{HostedPartition, ReplicaManager};
use crate::common::ids::TopicPartition;

impl ReplicaManager {
    pub(super) async fn handle_log_dir_failures_forever(self: Arc<Self>) {
        loop {
            self.log_dir_failure.notified().await;
            self.handle_log_dir_failures().await;
        }
    }

    /// Takes the partitions of dirs that failed since the last call offline and tells the listeners.
    pub async fn handle_log_dir_failures(self: &Arc<Self>) {
        let _state_change = self.state_change.lock().await;
        let dirs = self.log_manager.take_failed_dirs();
        if dirs.is_empty() {
            return;
        }
        for name in self.partitions_in(&dirs) {
            self.mark_offline(&name);
        }
        self.listeners
            .read()
            .iter()
            .for_each(|listener| listener.on_log_dirs_failed(&dirs));
    }

    fn partitions_in(&self, _dirs: &[PathBuf]) -> Vec<TopicPartition> {
        // A failed dir's logs are no longer in the log manager.
        let lost = |name: &TopicPartition| self.log_manager.get_log(name).is_none();
        let online = self.online_partitions();
        let hosted = online.iter().filter(|partition| partition.log().is_some());
        hosted.map(|p| p.topic_partition().clone()).filter(lost).collect()
    }

    /// The partition answers KAFKA_STORAGE_ERROR from now on.
    pub(super) fn mark_offline(&self, name: &TopicPartition) {
        self.fetchers.remove([name]);
        let before = self.partitions.insert(name.clone(), HostedPartition::Offline);
        if let Some(HostedPartition::Online(partition)) = before {
            partition.clear();
        }
        self.wake_waiting(name);
    }
}
