//! The events of topics: new topics and new partitions. Kafka 3.9: `KafkaController.processTopicChange`,
//! `processPartitionModifications`, `onNewPartitionCreation`.

use tracing::{info, warn};

use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::kafka_controller::Controller;
use super::partition_state::PartitionState;
use super::partition_state_machine::move_partitions;
use super::replica_state::ReplicaState;
use super::state_machines::StateMachines;
use super::topic_assignments::{adopt_assignments, adopt_topic_ids, restore_assignment};
use crate::common::ids::{TopicId, TopicName, TopicPartition};

impl Controller {
    /// Compares the topics with the context. Elects leaders for the partitions of new topics.
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
        adopt_topic_ids(&mut self.context, &self.zk, &assignments).await?;
        for (topic, assignment) in assignments {
            adopt_assignments(&mut self.context, &topic, assignment);
        }
        info!(?new, ?deleted, "topics changed");
        let partitions: Vec<_> = new
            .iter()
            .flat_map(|t| self.context.partitions_of_topic(t))
            .collect();
        on_new_partition_creation(&mut self.machines(), &partitions).await
    }

    /// Takes new partitions out of a topic's changed znode. Other changes of the assignment are ignored.
    pub(super) async fn process_partition_modification(
        &mut self,
        topic: &TopicName,
    ) -> Result<(), ControllerError> {
        if !self.context.contains_topic(topic) {
            // `process_topic_change` reads the new topic.
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
                warn!(%topic, ?added, "topic is being deleted, removes its new partitions");
                restore_assignment(&self.context, &self.zk, topic).await?;
            }
            return Ok(());
        }
        if found.topic_id.is_none() {
            adopt_topic_ids(&mut self.context, &self.zk, &[(topic.clone(), found.clone())]).await?;
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
        on_new_partition_creation(&mut self.machines(), &added).await
    }
}

/// Moves new partitions and their replicas to New and then to Online. The LeaderAndIsr of the partitions' move to
/// Online makes the brokers create the replicas.
async fn on_new_partition_creation(
    machines: &mut StateMachines<'_>,
    partitions: &[TopicPartition],
) -> Result<(), ControllerError> {
    let replicas = machines.context.replicas_of(partitions);
    move_partitions(machines.context, partitions, PartitionState::New);
    machines
        .move_replicas(replicas.clone(), ReplicaState::New)
        .await?;
    let strategy = ElectionStrategy::Offline { allow_unclean: false };
    machines.bring_partitions_online(partitions, strategy).await?;
    machines.move_replicas(replicas, ReplicaState::Online).await
}
