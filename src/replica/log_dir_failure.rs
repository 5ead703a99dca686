//! Handles failed log dirs: their partitions go offline, all others stay online. Kafka 3.9:
//! `ReplicaManager.handleLogDirFailure`, `LogDirFailureHandler`.

use std::sync::Arc;

use super::manager::ReplicaManager;
use crate::common::ids::TopicPartition;

impl ReplicaManager {
    pub(super) async fn handle_log_dir_failures_forever(self: Arc<Self>) {
        let failed = self.log_manager.failure_notification();
        loop {
            failed.notified().await;
            self.handle_log_dir_failures().await;
        }
    }

    /// Takes the partitions in dirs that failed since the last call offline, and calls the listeners.
    pub async fn handle_log_dir_failures(self: &Arc<Self>) {
        let _state_change = self.state_change.lock().await;
        let dirs = self.log_manager.take_failed_dirs();
        if dirs.is_empty() {
            return;
        }
        for partition in self.online_partitions() {
            let name = partition.topic_partition();
            // The log manager has already removed the logs of failed dirs.
            if partition.log().is_some() && self.log_manager.get_log(name).is_none() {
                self.mark_offline(name);
            }
        }
        self.log_dirs.drop_failed_copies();
        tracing::error!(?dirs, "log dirs are offline, with all partitions in them");
        let listeners = self.listeners.read();
        listeners
            .iter()
            .for_each(|listener| listener.on_log_dirs_failed(&dirs));
    }

    /// Marks the partition: it answers KAFKA_STORAGE_ERROR from now on.
    pub(super) fn mark_offline(&self, name: &TopicPartition) {
        self.fetchers.remove([name]);
        self.log_dirs.mover.remove(name);
        if let Some(partition) = self.partitions.set_offline(name) {
            partition.clear();
        }
        self.delayed.wake_all_of(name);
    }
}
