//! New topics and new partitions. Kafka 3.9: `KafkaController.processTopicChange`, `processPartitionModifications`,
//! `onNewPartitionCreation`.

use tracing::{info, warn};

use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::partition_state::PartitionState;
use super::partition_state_machine::move_partitions;
use super::replica_state::ReplicaState;
use crate::common::ids::{TopicId, TopicName, TopicPartition};
use crate::zk::znode::TopicAssignment;
use crate::zk::{cluster, paths};

impl Controller {
    /// Compares the topics with what is known of them; new ones get leaders.
    pub(super) async fn process_topic_change(&mut self) -> Result<(), ControllerError> {
        let topics = self.zk.topics().await?;
        let deleted: Vec<_> = self
            .context
            .topics()
            .filter(|t| !topics.contains(*t))
            .cloned()
            .collect();
        let new: Vec<_> = topics
            .into_iter()
            .filter(|t| !self.context.contains_topic(t))
            .collect();
        for topic in &deleted {
            self.context.remove_topic(topic);
        }
        for topic in &new {
            self.context.put_topic(topic.clone(), TopicId::nil());
        }
        let assignments = self.zk.topic_assignments(&new).await?;
        self.adopt_topic_ids(&assignments).await?;
        for (topic, assignment) in assignments {
            self.adopt_assignments(&topic, assignment);
        }
        info!(?new, ?deleted, "topics changed");
        let partitions: Vec<_> = new
            .iter()
            .flat_map(|t| self.context.partitions_of_topic(t))
            .collect();
        self.on_new_partition_creation(&partitions).await
    }

    /// Somebody rewrote a topic. Only partitions that are new count; other edits of the assignment are ignored.
    pub(super) async fn process_partition_modification(
        &mut self,
        topic: &TopicName,
    ) -> Result<(), ControllerError> {
        if !self.context.contains_topic(topic) {
            // The event of the changed list of topics comes and reads it.
            return Ok(());
        }
        let Some((_, found)) = self
            .zk
            .topic_assignments(std::slice::from_ref(topic))
            .await?
            .pop()
        else {
            return Ok(());
        };
        let is_new = |index: &&i32| {
            let partition = TopicPartition::new(topic.clone(), **index);
            self.context.replicas(&partition).is_empty()
        };
        let added: Vec<_> = found.partitions.keys().filter(is_new).copied().collect();
        if self.context.is_queued_for_deletion(topic) {
            if !added.is_empty() {
                warn!(%topic, ?added, "topic is being deleted, takes back its new partitions");
                self.restore_assignment(topic).await?;
            }
            return Ok(());
        }
        if found.topic_id.is_none() {
            self.adopt_topic_ids(&[(topic.clone(), found.clone())]).await?;
        }
        let added: Vec<_> = added
            .into_iter()
            .map(|i| TopicPartition::new(topic.clone(), i))
            .collect();
        for partition in &added {
            let assignment = found.partitions[&partition.partition].clone();
            self.context.set_assignment(partition, assignment);
        }
        if !added.is_empty() {
            info!(?added, "new partitions");
        }
        self.on_new_partition_creation(&added).await
    }

    /// Writes a topic's assignment as we know it, with those partitions only that were ever created.
    async fn restore_assignment(&mut self, topic: &TopicName) -> Result<(), ControllerError> {
        let created = cluster::children(self.zk.store(), &paths::topic_partitions(topic), false).await?;
        let mut partitions = self.context.topic_assignment(topic);
        partitions.retain(|index, _| created.contains(&index.to_string()));
        let topic_id = Some(self.context.topic_id(topic)).filter(|id| !id.is_nil());
        let assignment = TopicAssignment { topic_id, partitions };
        self.zk.set_topic_assignment(topic, &assignment).await
    }

    /// Through New to Online, partitions and replicas by turns. The LeaderAndIsr of the partitions' last step is
    /// what creates the replicas.
    async fn on_new_partition_creation(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<(), ControllerError> {
        let replicas = self.context.replicas_of(partitions);
        move_partitions(&mut self.context, partitions, PartitionState::New);
        self.machines()
            .move_replicas(replicas.clone(), ReplicaState::New)
            .await?;
        let strategy = ElectionStrategy::Offline { allow_unclean: false };
        self.machines()
            .bring_partitions_online(partitions, strategy)
            .await?;
        self.machines()
            .move_replicas(replicas, ReplicaState::Online)
            .await
    }
}
