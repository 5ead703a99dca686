//! Deletes topics: every replica first, the znodes last, and not before every replica has said so (fact 26).
//! Kafka 3.9: `TopicDeletionManager`.
//!
//! A topic whose deletion was asked for is *queued*. It is *ineligible* while a replica cannot be reached or a
//! partition is being reassigned, until a broker starts, a reassignment ends or a broker answers.

use std::collections::BTreeSet;

use tracing::{debug, info, warn};

use super::context::PartitionAndReplica;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::partition_state::PartitionState;
use super::replica_state::ReplicaState;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, ControllerEpoch, TopicName, TopicPartition};
use crate::protocol::messages::StopReplicaResponse;
use crate::zk::cluster;
use crate::zk::paths::{self, ConfigEntityType};

impl Controller {
    /// At the start of a term: queues what is asked for in ZooKeeper.
    pub(super) async fn initialize_topic_deletion(&mut self) -> Result<(), ControllerError> {
        let topics: Vec<TopicName> = self.read_topic_deletions().await?;
        if !self.config.delete_topic_enable {
            return self.refuse_deletions(&topics).await;
        }
        let (existing, unknown): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|t| self.context.contains_topic(t));
        self.zk
            .delete_children(paths::DELETE_TOPICS, unknown.iter().map(|t| &**t))
            .await?;
        for topic in existing {
            let replicas = self.context.replicas_of_topic(&topic);
            let offline = replicas
                .iter()
                .any(|r| !self.context.is_replica_online(r.replica, &r.partition));
            if offline || self.is_topic_being_reassigned(&topic) {
                self.context.topics_ineligible_for_deletion.insert(topic.clone());
            }
            self.context.topics_to_be_deleted.insert(topic);
        }
        Ok(())
    }

    async fn read_topic_deletions(&self) -> Result<Vec<TopicName>, ControllerError> {
        let names = cluster::children(self.zk.store(), paths::DELETE_TOPICS, true).await?;
        Ok(names.into_iter().map(TopicName::from).collect())
    }

    async fn refuse_deletions(&self, topics: &[TopicName]) -> Result<(), ControllerError> {
        if !topics.is_empty() {
            info!(?topics, "topics are not deleted, delete.topic.enable is false");
        }
        self.zk
            .delete_children(paths::DELETE_TOPICS, topics.iter().map(|t| &**t))
            .await
    }

    fn is_topic_being_reassigned(&self, topic: &str) -> bool {
        self.context
            .partitions_being_reassigned
            .iter()
            .any(|p| &*p.topic == topic)
    }

    /// Somebody asked for deletions.
    pub(super) async fn process_topic_deletion(&mut self) -> Result<(), ControllerError> {
        let (existing, unknown): (Vec<_>, Vec<_>) = self
            .read_topic_deletions()
            .await?
            .into_iter()
            .partition(|t| self.context.contains_topic(t));
        if !unknown.is_empty() {
            warn!(topics = ?unknown, "ignores the deletion of topics that do not exist");
            self.zk
                .delete_children(paths::DELETE_TOPICS, unknown.iter().map(|t| &**t))
                .await?;
        }
        if !self.config.delete_topic_enable {
            return self.refuse_deletions(&existing).await;
        }
        for topic in existing {
            // A topic that is queued already keeps the eligibility that later events gave it.
            if self.is_topic_being_reassigned(&topic) {
                self.context.topics_ineligible_for_deletion.insert(topic.clone());
            }
            self.context.topics_to_be_deleted.insert(topic);
        }
        self.resume_deletions().await
    }

    /// Something happened that these topics may have waited for.
    pub(super) async fn resume_deletion_for_topics(
        &mut self,
        topics: BTreeSet<TopicName>,
    ) -> Result<(), ControllerError> {
        let queued: Vec<_> = topics
            .intersection(&self.context.topics_to_be_deleted)
            .cloned()
            .collect();
        if queued.is_empty() {
            return Ok(());
        }
        for topic in &queued {
            self.context.topics_ineligible_for_deletion.remove(topic);
        }
        self.resume_deletions().await
    }

    /// These replicas cannot be deleted now; their topics wait.
    pub(super) async fn fail_replica_deletion(
        &mut self,
        mut replicas: Vec<PartitionAndReplica>,
    ) -> Result<(), ControllerError> {
        replicas.retain(|r| self.context.is_queued_for_deletion(&r.partition.topic));
        if replicas.is_empty() {
            return Ok(());
        }
        let topics: BTreeSet<_> = replicas.iter().map(|r| r.partition.topic.clone()).collect();
        self.move_replicas(replicas, ReplicaState::DeletionIneligible)
            .await?;
        self.mark_ineligible_for_deletion(topics, "a replica cannot be deleted");
        self.resume_deletions().await
    }

    /// Halts the deletion of those of these topics that are queued.
    pub(super) fn mark_ineligible_for_deletion(
        &mut self,
        topics: impl IntoIterator<Item = TopicName>,
        reason: &'static str,
    ) {
        for topic in topics
            .into_iter()
            .filter(|t| self.context.is_queued_for_deletion(t))
            .collect::<Vec<_>>()
        {
            info!(%topic, reason, "deletion halted");
            self.context.topics_ineligible_for_deletion.insert(topic);
        }
    }

    /// A broker answered to a StopReplica that asked for deletions. An answer that leaves a replica out is a
    /// failure too.
    pub(super) async fn process_deletion_stop_replica_response(
        &mut self,
        broker: BrokerId,
        controller_epoch: ControllerEpoch,
        mut deleted: Vec<TopicPartition>,
        response: StopReplicaResponse,
    ) -> Result<(), ControllerError> {
        deleted.retain(|p| self.context.topics_with_deletion_started.contains(&p.topic));
        if controller_epoch != self.context.epoch || deleted.is_empty() {
            return Ok(());
        }
        let succeeded = |partition: &TopicPartition| {
            let error = response.partition_errors.iter().find(|e| {
                e.topic_name.as_str() == &*partition.topic && e.partition_index == partition.partition
            });
            response.error_code == 0 && error.is_some_and(|e| e.error_code == 0)
        };
        let (gone, failed): (Vec<_>, Vec<_>) = deleted.into_iter().partition(succeeded);
        if !failed.is_empty() {
            warn!(broker, error = %ErrorCode::from_code(response.error_code), partitions = ?failed,
                "broker failed to delete replicas");
        }
        let replicas = |partitions: Vec<TopicPartition>| -> Vec<_> {
            partitions
                .into_iter()
                .map(|p| PartitionAndReplica::new(p, broker))
                .collect()
        };
        self.fail_replica_deletion(replicas(failed)).await?;
        if !gone.is_empty() {
            let gone = self.that_can_become(replicas(gone), ReplicaState::DeletionSuccessful);
            self.move_replicas(gone, ReplicaState::DeletionSuccessful).await?;
            self.resume_deletions().await?;
        }
        Ok(())
    }

    /// Does for each queued topic what can be done now: finish, retry, or start.
    pub(super) async fn resume_deletions(&mut self) -> Result<(), ControllerError> {
        let (mut to_retry, mut to_start) = (Vec::new(), Vec::new());
        for topic in self.context.topics_to_be_deleted.clone() {
            if self
                .context
                .are_all_replicas_in_state(&topic, ReplicaState::DeletionSuccessful)
            {
                self.complete_topic_deletion(&topic).await?;
                continue;
            }
            if self
                .context
                .is_any_replica_in_state(&topic, ReplicaState::DeletionStarted)
            {
                continue;
            }
            to_retry.extend(
                self.context
                    .replicas_in_state(&topic, ReplicaState::DeletionIneligible),
            );
            if !self.context.topics_ineligible_for_deletion.contains(&topic) {
                to_start.push(topic);
            }
        }
        self.move_replicas(to_retry, ReplicaState::Offline).await?;
        if !to_start.is_empty() {
            self.start_topic_deletion(to_start).await?;
        }
        Ok(())
    }

    /// The partitions go offline, every broker forgets them, then their replicas are stopped and deleted.
    async fn start_topic_deletion(&mut self, topics: Vec<TopicName>) -> Result<(), ControllerError> {
        info!(?topics, "deletes topics");
        let unseen = topics
            .iter()
            .filter(|t| !self.context.topics_with_deletion_started.contains(*t));
        let unseen: Vec<_> = unseen.cloned().collect();
        let partitions: Vec<_> = unseen
            .iter()
            .flat_map(|t| self.context.partitions_of_topic(t))
            .collect();
        self.move_partitions(&partitions, PartitionState::Offline);
        self.move_partitions(&partitions, PartitionState::NonExistent);
        self.context.topics_with_deletion_started.extend(unseen);

        let partitions: Vec<_> = topics
            .iter()
            .flat_map(|t| self.context.partitions_of_topic(t))
            .collect();
        self.send_update_metadata(&self.context.live_or_shutting_down_ids(), &partitions);

        let mut replicas = self.context.replicas_of(&partitions);
        replicas.retain(|r| self.context.replica_state(r) != ReplicaState::DeletionSuccessful);
        let is_online = |r: &PartitionAndReplica| self.context.is_replica_online(r.replica, &r.partition);
        let (alive, dead): (Vec<_>, Vec<_>) = replicas.into_iter().partition(is_online);
        let halted: BTreeSet<_> = dead.iter().map(|r| r.partition.topic.clone()).collect();
        let dead = self.that_can_become(dead, ReplicaState::DeletionIneligible);
        self.move_replicas(dead, ReplicaState::DeletionIneligible).await?;
        self.move_replicas(alive.clone(), ReplicaState::Offline).await?;
        self.move_replicas(alive, ReplicaState::DeletionStarted).await?;
        self.mark_ineligible_for_deletion(halted, "a replica is offline");
        Ok(())
    }

    /// Every replica is gone: so go the znodes, the request for deletion last.
    async fn complete_topic_deletion(&mut self, topic: &TopicName) -> Result<(), ControllerError> {
        let replicas = self
            .context
            .replicas_in_state(topic, ReplicaState::DeletionSuccessful);
        debug!(%topic, replicas = replicas.len(), "every replica is deleted");
        self.move_replicas(replicas, ReplicaState::NonExistent).await?;
        self.zk.delete_recursive(&paths::topic(topic)).await?;
        self.zk
            .delete_recursive(&paths::config_entity(ConfigEntityType::Topics, topic))
            .await?;
        self.zk.delete(&paths::delete_topic(topic)).await?;
        self.context.remove_topic(topic);
        info!(%topic, "topic deleted");
        Ok(())
    }
}
