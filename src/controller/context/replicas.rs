//! The context's replicas: their states, and the replicas of topics, partitions and brokers.

use super::{ControllerContext, PartitionAndReplica};
use crate::common::ids::{BrokerId, TopicPartition};
use crate::controller::replica_state::ReplicaState;

impl ControllerContext {
    /// The state of a replica.
    pub fn replica_state(&self, replica: &PartitionAndReplica) -> ReplicaState {
        let states = self.partition(&replica.partition).map(|p| &p.replica_states);
        states
            .and_then(|s| s.get(&replica.replica))
            .copied()
            .unwrap_or(ReplicaState::NonExistent)
    }

    /// Sets the state of a replica; `NonExistent` removes it. Unknown partitions are ignored.
    pub fn set_replica_state(&mut self, replica: &PartitionAndReplica, state: ReplicaState) {
        self.change(&replica.partition, |partition| {
            match state {
                ReplicaState::NonExistent => partition.replica_states.remove(&replica.replica),
                _ => partition.replica_states.insert(replica.replica, state),
            };
        });
    }

    /// Every replica of these partitions.
    pub fn replicas_of(&self, partitions: &[TopicPartition]) -> Vec<PartitionAndReplica> {
        let of = |p: &TopicPartition| {
            let p = p.clone();
            self.replicas(&p)
                .iter()
                .map(move |&r| PartitionAndReplica::new(p.clone(), r))
                .collect::<Vec<_>>()
        };
        partitions.iter().flat_map(of).collect()
    }

    /// Every replica of one topic.
    pub fn replicas_of_topic(&self, topic: &str) -> Vec<PartitionAndReplica> {
        self.replicas_of(&self.partitions_of_topic(topic))
    }

    /// Every replica on one of these brokers.
    pub fn replicas_on_brokers(&self, brokers: &[BrokerId]) -> Vec<PartitionAndReplica> {
        let on = |&broker: &BrokerId| {
            let partitions = self.partitions_on_broker(broker);
            partitions
                .into_iter()
                .map(move |p| PartitionAndReplica::new(p, broker))
        };
        brokers.iter().flat_map(on).collect()
    }

    /// The replicas of a topic that are in one state.
    pub fn replicas_in_state(&self, topic: &str, state: ReplicaState) -> Vec<PartitionAndReplica> {
        let mut replicas = self.replicas_of_topic(topic);
        replicas.retain(|r| self.replica_state(r) == state);
        replicas
    }

    /// Whether every replica of a topic is in one state; true for a topic without replicas.
    pub fn are_all_replicas_in_state(&self, topic: &str, state: ReplicaState) -> bool {
        self.replicas_of_topic(topic)
            .iter()
            .all(|r| self.replica_state(r) == state)
    }

    /// Whether some replica of a topic is in one state.
    pub fn is_any_replica_in_state(&self, topic: &str, state: ReplicaState) -> bool {
        self.replicas_of_topic(topic)
            .iter()
            .any(|r| self.replica_state(r) == state)
    }

    /// The replicas whose present state allows them to enter `state`. For callers that expect some to be in another
    /// one.
    pub fn replicas_that_can_enter(
        &self,
        mut replicas: Vec<PartitionAndReplica>,
        state: ReplicaState,
    ) -> Vec<PartitionAndReplica> {
        replicas.retain(|r| state.valid_previous_states().contains(&self.replica_state(r)));
        replicas
    }
}
