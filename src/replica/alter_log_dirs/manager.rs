//! Owns the moves of replicas between log dirs: it starts and cancels them, and continues the copies that a stop of the
//! broker interrupted. Kafka 3.9: `ReplicaAlterLogDirsManager`, `ReplicaManager.maybeAddLogDirFetchers`.

use std::path::PathBuf;
use std::sync::Arc;

use super::mover::LogDirMover;
use crate::cluster::{Partition, error_code};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::config::BrokerConfig;
use crate::log::names::future_partition_dir;
use crate::log::{LogDir, LogError, LogManager, UnifiedLog};
use crate::purgatory::Purgatory;
use crate::replica::hooks::TopicConfigs;
use crate::replica::hosted_partitions::{HostedPartition, HostedPartitions};
use crate::replica::replication_quota::ReplicationQuota;

/// All moves of this broker.
pub struct ReplicaAlterLogDirsManager {
    pub(in crate::replica) mover: LogDirMover,
    log_manager: Arc<LogManager>,
    partitions: Arc<HostedPartitions>,
    topic_configs: TopicConfigs,
    /// An unfinished copy holds the low watermark back.
    delayed_delete_records: Purgatory<TopicPartition>,
}

impl ReplicaAlterLogDirsManager {
    /// Creates a manager without moves.
    pub(in crate::replica) fn new(
        config: &BrokerConfig,
        log_manager: Arc<LogManager>,
        partitions: Arc<HostedPartitions>,
        topic_configs: TopicConfigs,
        quota: Arc<ReplicationQuota>,
        delayed_delete_records: Purgatory<TopicPartition>,
    ) -> Self {
        Self {
            mover: LogDirMover::new(config, log_manager.clone(), quota, delayed_delete_records.clone()),
            log_manager,
            partitions,
            topic_configs,
            delayed_delete_records,
        }
    }

    /// Starts to move one replica. The controller's decisions wait meanwhile.
    pub(in crate::replica) fn alter(&self, name: &TopicPartition, path: PathBuf) -> Result<(), ErrorCode> {
        let refuse = |code: ErrorCode| {
            tracing::warn!(partition = %name, to = %path.display(), %code, "cannot move the replica to another log dir");
            code
        };
        if future_partition_dir(name).is_none() {
            return Err(refuse(ErrorCode::InvalidTopicException));
        }
        let dir = self.log_manager.log_dir(&path);
        let dir = dir.ok_or_else(|| refuse(ErrorCode::LogDirNotFound))?;
        if dir.is_offline() {
            return Err(refuse(ErrorCode::KafkaStorageError));
        }
        let partition = match self.partitions.get(name) {
            Some(HostedPartition::Online(partition)) => partition,
            Some(HostedPartition::Offline) => return Err(refuse(ErrorCode::KafkaStorageError)),
            None => {
                self.log_manager.prefer_log_dir(name, dir);
                return Err(refuse(match self.partitions.online(name).err() {
                    Some(ErrorCode::NotLeaderOrFollower) | None => ErrorCode::ReplicaNotAvailable,
                    Some(other) => other,
                }));
            }
        };
        let log = partition.log();
        let log = log.ok_or_else(|| refuse(ErrorCode::ReplicaNotAvailable))?;
        let moved = self.move_to(&partition, &log, dir);
        moved.map_err(|error| {
            tracing::warn!(partition = %name, %error, "cannot move the replica to another log dir");
            error_code(&error)
        })
    }

    /// Starts a move. A move to a different dir that is under way is cancelled first. If the replica is already in the
    /// wanted dir, nothing else happens.
    fn move_to(
        &self,
        partition: &Arc<Partition>,
        log: &UnifiedLog,
        dir: &Arc<LogDir>,
    ) -> Result<(), LogError> {
        let is_there = |log: &UnifiedLog| Arc::ptr_eq(log.log_dir(), dir);
        if let Some(copy) = partition.future_log() {
            if is_there(&copy) {
                // The mover may have dropped the copy.
                self.mover.add(partition.clone(), copy);
                return Ok(());
            }
            self.cancel_move(partition)?;
        }
        if is_there(log) {
            return Ok(());
        }
        let name = partition.topic_partition();
        let config = (self.topic_configs)(&name.topic);
        let copy = self
            .log_manager
            .create_future_log(name, log.topic_id(), dir, config)?;
        self.log_manager.catch_up_with_config(&copy, &*self.topic_configs);
        if partition.set_future_log(copy.clone()) {
            self.mover.add(partition.clone(), copy);
            tracing::info!(partition = %name, to = %dir.path().display(), "moving the replica to another log dir");
        }
        Ok(())
    }

    fn cancel_move(&self, partition: &Arc<Partition>) -> Result<(), LogError> {
        let name = partition.topic_partition();
        self.mover.remove(name);
        if partition.take_future_log().is_none() {
            // The move was completed at the same moment.
            return Ok(());
        }
        tracing::info!(partition = %name, "the replica is no longer moved to another log dir");
        self.log_manager.delete_future_log(name)
    }

    /// Continues a copy that was found on disk. A copy that belongs to another topic of this name is deleted.
    pub(in crate::replica) fn resume_move(&self, name: &TopicPartition) {
        let Some(copy) = self.log_manager.future_log(name) else {
            return;
        };
        let Some(HostedPartition::Online(partition)) = self.partitions.get(name) else {
            return;
        };
        let Some(log) = partition.log() else {
            return;
        };
        let of_another_topic = copy.topic_id().is_some_and(|id| Some(id) != log.topic_id());
        if of_another_topic {
            tracing::warn!(partition = %name, path = %copy.path().display(), "deleting a copy of another topic's log");
            if let Err(error) = self.log_manager.delete_future_log(name) {
                tracing::error!(partition = %name, %error, "cannot delete the copy");
            }
        } else if partition.set_future_log(copy.clone()) {
            tracing::info!(partition = %name, "going on to move the replica to another log dir");
            self.mover.add(partition, copy);
        }
    }

    /// Forgets copies in failed log dirs. Their logs are still served.
    pub(in crate::replica) fn drop_failed_copies(&self) {
        for partition in self.partitions.all_online() {
            let name = partition.topic_partition();
            if partition.future_log().is_some() && self.log_manager.future_log(name).is_none() {
                self.mover.remove(name);
                partition.take_future_log();
                self.delayed_delete_records.wake(name);
                tracing::warn!(partition = %name, "the log dir failed to which the replica was being moved");
            }
        }
    }
}
