//! Moves partitions to other brokers. The next controller can resume each reassignment. Kafka 3.9:
//! `KafkaController.onPartitionReassignment` (KIP-455).
//!
//! ```text
//! U  the topic's znode gets replicas = targets + originals, and the lists of adding and removing replicas;
//!    adding replicas of an earlier reassignment that are not in this one are stopped and deleted
//! A  while a target is out of sync: leader epoch + 1, LeaderAndIsr to all replicas (isNew to the adding ones)
//! B  when all targets are in the ISR: the adding replicas go online; the context gets only the targets; if the leader
//!    is not a target, another one is elected, else leader epoch + 1 and LeaderAndIsr; the removing replicas are
//!    stopped and deleted; the topic's znode gets only the targets; UpdateMetadata to all brokers
//! ```
//! The znode is written last, because only the znode has the originals: if the controller dies before, the next one
//! resumes the reassignment.

use tracing::{error, info};

use super::admin_request::ReassignmentResult;
use super::broker_request_batch::BrokerRequestBatch;
use super::context::PartitionAndReplica;
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::event_queue::EventQueue;
use super::partition_state::PartitionState;
use super::partition_state_machine::{StateSource, partition_states};
use super::replica_state::ReplicaState;
use super::state_machines::StateMachines;
use super::topic_assignments::write_assignment;
use super::topic_deletion::{mark_ineligible_for_deletion, resume_deletion_for_topics};
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, NO_BROKER, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;
#[cfg(test)]
use crate::common::planted::{self, Mistake};
use crate::zk::cluster;

pub(super) mod plan;
pub(super) mod znode;

/// The reassignments under way, which the context lists.
pub(super) struct Reassignments<'a> {
    /// Run the state changes of which a reassignment consists.
    pub machines: StateMachines<'a>,
    /// Takes the event that sets the watch of `/admin/reassign_partitions` again.
    pub events: EventQueue,
}

impl Reassignments<'_> {
    /// Resumes the reassignments whose targets are on brokers that have started.
    pub(super) async fn resume_to(&mut self, brokers: &[BrokerId]) -> Result<(), ControllerError> {
        self.resume(|_, a| a.target_replicas().iter().any(|r| brokers.contains(r)))
            .await
    }

    /// Resumes selected reassignments.
    pub(super) async fn resume(
        &mut self,
        select: impl Fn(&TopicPartition, &ReplicaAssignment) -> bool,
    ) -> Result<(), ControllerError> {
        for partition in self.machines.context.partitions_being_reassigned.clone() {
            let assignment = self.machines.context.assignment_or_default(&partition);
            if select(&partition, &assignment) {
                self.on_partition_reassignment(&partition, assignment).await?;
            }
        }
        Ok(())
    }

    /// Completes the reassignments of partitions whose ISR has all targets now.
    pub(super) async fn maybe_complete(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<(), ControllerError> {
        for partition in partitions {
            if !self
                .machines
                .context
                .partitions_being_reassigned
                .contains(partition)
            {
                continue;
            }
            let assignment = self.machines.context.assignment_or_default(partition);
            if self.is_reassignment_complete(partition, &assignment).await? {
                self.on_partition_reassignment(partition, assignment).await?;
            }
        }
        Ok(())
    }

    /// Starts reassignments. Returns the result of each partition.
    pub(super) async fn trigger(
        &mut self,
        reassignments: Vec<(TopicPartition, ReplicaAssignment)>,
    ) -> Result<ReassignmentResult, ControllerError> {
        let mut results = ReassignmentResult::new();
        for (partition, reassignment) in reassignments {
            let result = match plan::check(self.machines.context, &partition, &reassignment) {
                Ok(()) => {
                    self.on_partition_reassignment(&partition, reassignment).await?;
                    (ErrorCode::None, None)
                }
                Err((code, message)) => (code, Some(message.to_owned())),
            };
            results.insert(partition, result);
        }
        Ok(results)
    }

    /// Does the next phase of a reassignment.
    async fn on_partition_reassignment(
        &mut self,
        partition: &TopicPartition,
        reassignment: ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        mark_ineligible_for_deletion(
            self.machines.context,
            [partition.topic.clone()],
            "a partition is being reassigned",
        );
        self.update_current_reassignment(partition, &reassignment).await?;
        let adding = replicas_of(partition, &reassignment.adding);
        if !self.is_reassignment_complete(partition, &reassignment).await? {
            self.update_leader_epoch_and_send_request(partition, &reassignment)
                .await?;
            // The adding replicas of a resumed reassignment are in a later state.
            let adding = self
                .machines
                .context
                .replicas_that_can_enter(adding, ReplicaState::New);
            return self.machines.move_replicas(adding, ReplicaState::New).await;
        }
        self.machines.move_replicas(adding, ReplicaState::Online).await?;
        let completed = ReplicaAssignment::of(reassignment.target_replicas());
        self.machines.context.set_assignment(partition, completed.clone());
        self.move_reassigned_partition_leader_if_required(partition, &completed)
            .await?;
        self.stop_removed_replicas(partition, &reassignment.removing)
            .await?;
        write_assignment(self.machines.context, self.machines.zk, partition, &completed).await?;
        self.machines.context.set_assignment(partition, completed.clone());
        znode::remove(self.machines.zk, &self.events, |p, replicas| {
            p == partition && replicas == completed.replicas
        })
        .await?;
        self.machines
            .context
            .partitions_being_reassigned
            .remove(partition);
        self.machines
            .send_update_metadata_to_all(std::slice::from_ref(partition));
        info!(%partition, replicas = ?completed.replicas, "reassignment complete");
        resume_deletion_for_topics(&mut self.machines, [partition.topic.clone()].into()).await
    }

    /// Phase U, if the assignment is not written yet.
    async fn update_current_reassignment(
        &mut self,
        partition: &TopicPartition,
        reassignment: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        let current = self.machines.context.assignment_or_default(partition);
        if current != *reassignment {
            info!(%partition, ?current, ?reassignment, "reassigns a partition");
            write_assignment(self.machines.context, self.machines.zk, partition, reassignment).await?;
            self.machines
                .context
                .set_assignment(partition, reassignment.clone());
            let unneeded: Vec<_> = current
                .replicas
                .iter()
                .copied()
                .filter(|r| !reassignment.replicas.contains(r))
                .collect();
            self.stop_removed_replicas(partition, &unneeded).await?;
        }
        self.machines
            .context
            .partitions_being_reassigned
            .insert(partition.clone());
        Ok(())
    }

    /// Whether all targets are in the ISR that ZooKeeper has; the context may be older (fact 27).
    async fn is_reassignment_complete(
        &self,
        partition: &TopicPartition,
        assignment: &ReplicaAssignment,
    ) -> Result<bool, ControllerError> {
        if !assignment.is_being_reassigned() {
            return Ok(true);
        }
        #[cfg(test)]
        if planted::is_planted(Mistake::CompletesReassignmentsAtOnce) {
            return Ok(true);
        }
        let mut states =
            cluster::partition_states(self.machines.zk.store(), std::slice::from_ref(partition)).await?;
        let isr = states
            .remove(partition)
            .map(|s| s.leader_and_isr.isr)
            .unwrap_or_default();
        Ok(assignment.target_replicas().iter().all(|r| isr.contains(r)))
    }

    async fn move_reassigned_partition_leader_if_required(
        &mut self,
        partition: &TopicPartition,
        completed: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        let leader = self.machines.context.leader(partition).unwrap_or(NO_BROKER);
        if completed.replicas.contains(&leader) && self.machines.context.is_replica_online(leader, partition)
        {
            return self
                .update_leader_epoch_and_send_request(partition, completed)
                .await;
        }
        let partitions = std::slice::from_ref(partition);
        self.machines
            .bring_partitions_online(partitions, ElectionStrategy::Reassign)
            .await
            .map(drop)
    }

    /// Stops and deletes replicas without waiting for the brokers' answers. If one of them is the leader, the partition
    /// is offline and another leader is elected. That happens to an adding replica of an earlier reassignment, and to a
    /// leader for which the election before has found no successor. Kafka leaves such a partition offline until another
    /// broker dies or another controller takes over.
    async fn stop_removed_replicas(
        &mut self,
        partition: &TopicPartition,
        removed: &[BrokerId],
    ) -> Result<(), ControllerError> {
        let replicas = replicas_of(partition, removed);
        for state in [
            ReplicaState::Offline,
            ReplicaState::DeletionStarted,
            ReplicaState::DeletionSuccessful,
            ReplicaState::NonExistent,
        ] {
            self.machines.move_replicas(replicas.clone(), state).await?;
        }
        if self.machines.context.partition_state(partition) == PartitionState::Offline {
            let strategy = ElectionStrategy::Offline { allow_unclean: false };
            self.machines
                .bring_partitions_online(std::slice::from_ref(partition), strategy)
                .await?;
        }
        Ok(())
    }

    /// Writes the same leader and ISR with the next leader epoch, and sends LeaderAndIsr, so that the brokers take over
    /// the new assignment.
    async fn update_leader_epoch_and_send_request(
        &mut self,
        partition: &TopicPartition,
        assignment: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        loop {
            let mut read = partition_states(
                self.machines.context,
                self.machines.zk,
                std::slice::from_ref(partition),
                StateSource::ZooKeeper,
            )
            .await?;
            let state = match read.pop() {
                Some((_, Ok(state))) => state.new_epoch(),
                Some((_, Err(error))) => {
                    error!(target: "state.change", %partition, %error, "cannot send LeaderAndIsr for a reassignment");
                    return Ok(());
                }
                None => return Ok(()),
            };
            let update = vec![(partition.clone(), state)];
            let mut written = self
                .machines
                .zk
                .update_leader_and_isr(self.machines.context.epoch, update)
                .await?;
            match written.finished.pop() {
                Some((_, Ok(state))) => {
                    self.machines.context.set_own_leadership(partition, state);
                    break;
                }
                Some((_, Err(error))) => return Err(error.into()),
                None => {}
            }
        }
        let mut batch = BrokerRequestBatch::default();
        // Only the adding replicas are new: an original one may be on a failed log dir (fact 15).
        batch.add_leader_and_isr(
            self.machines.context,
            &assignment.origin_replicas(),
            partition,
            false,
        );
        batch.add_leader_and_isr(self.machines.context, &assignment.adding, partition, true);
        self.machines.send(batch);
        Ok(())
    }
}

fn replicas_of(partition: &TopicPartition, brokers: &[BrokerId]) -> Vec<PartitionAndReplica> {
    brokers
        .iter()
        .map(|&r| PartitionAndReplica::new(partition.clone(), r))
        .collect()
}
