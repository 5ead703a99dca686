//! Moves partitions to other brokers: by request or by `/admin/reassign_partitions`, resumable by the next
//! controller. Kafka 3.9: `KafkaController.onPartitionReassignment` (KIP-455).
//!
//! ```text
//! U  the topic's znode gets replicas = targets + originals, and which of them are adding and removing;
//!    adding replicas of an earlier reassignment that this one does not want are stopped and deleted
//! A  while some target is out of sync: leader epoch + 1, LeaderAndIsr to all (isNew to the adding ones)
//! B  once all targets are in the ISR: adding replicas go online; memory has the targets alone; another leader if
//!    it is not among them, else leader epoch + 1 and LeaderAndIsr; removing replicas are stopped and deleted;
//!    the topic's znode gets the targets alone; UpdateMetadata to all
//! ```
//! The znode is written last, because it alone knows the originals: a controller that dies before is resumed.

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use super::admin_request::{ListReassignmentsResult, ReassignmentResult, TargetReplicas};
use super::broker_request_batch::BrokerRequestBatch;
use super::context::PartitionAndReplica;
use super::election::ElectionStrategy;
use super::error::ControllerError;
use super::event::{ControllerEvent, Reply};
use super::kafka_controller::Controller;
use super::partition_state::PartitionState;
use super::partition_state_machine::StateSource;
use super::replica_state::ReplicaState;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, NO_BROKER, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;
#[cfg(test)]
use crate::common::planted::{self, Mistake};
use crate::zk::znode::{TopicAssignment, reassign_partitions};
use crate::zk::{cluster, paths};

/// The assignment while a partition moves to `targets`: these first, then what else it has now or had before a
/// reassignment under way.
fn reassign_to(current: &ReplicaAssignment, targets: &[BrokerId]) -> ReplicaAssignment {
    let origin = current.origin_replicas();
    let mut replicas = Vec::with_capacity(targets.len() + origin.len());
    for &replica in targets.iter().chain(&origin) {
        if !replicas.contains(&replica) {
            replicas.push(replica);
        }
    }
    ReplicaAssignment {
        adding: replicas.iter().copied().filter(|r| !origin.contains(r)).collect(),
        removing: replicas
            .iter()
            .copied()
            .filter(|r| !targets.contains(r))
            .collect(),
        replicas,
    }
}

impl Controller {
    /// AlterPartitionReassignments. Takes the place of what `/admin/reassign_partitions` asks for the same
    /// partitions.
    pub(super) async fn process_api_reassignment(
        &mut self,
        targets: BTreeMap<TopicPartition, TargetReplicas>,
        reply: Reply<ReassignmentResult>,
    ) -> Result<(), ControllerError> {
        let (mut results, mut reassignments) = (ReassignmentResult::new(), Vec::new());
        for (partition, targets) in targets {
            match self.plan(&partition, targets.as_deref()) {
                Ok(reassignment) => reassignments.push((partition, reassignment)),
                Err(refusal) => drop(results.insert(partition, refusal)),
            }
        }
        let taken: Vec<_> = reassignments.iter().map(|(p, _)| p.clone()).collect();
        self.remove_from_znode(|partition, _| taken.contains(partition))
            .await?;
        results.extend(self.trigger_reassignments(reassignments).await?);
        let _ = reply.send(results);
        Ok(())
    }

    /// ListPartitionReassignments.
    pub(super) fn process_list_reassignments(
        &self,
        partitions: Option<Vec<TopicPartition>>,
        reply: Reply<ListReassignmentsResult>,
    ) {
        let all = || self.context.partitions_being_reassigned.iter().cloned().collect();
        let assignment = |partition: TopicPartition| {
            let assignment = self
                .context
                .assignment(&partition)
                .filter(|a| a.is_being_reassigned())?
                .clone();
            Some((partition, assignment))
        };
        let _ = reply.send(
            partitions
                .unwrap_or_else(all)
                .into_iter()
                .filter_map(assignment)
                .collect(),
        );
    }

    /// `/admin/reassign_partitions`. Returns the partitions whose reassignment has begun; those that failed are
    /// taken out of the znode.
    pub(super) async fn process_znode_reassignment(
        &mut self,
    ) -> Result<Vec<TopicPartition>, ControllerError> {
        let (mut failed, mut reassignments) = (ReassignmentResult::new(), Vec::new());
        for (partition, targets) in self.read_znode(true).await?.unwrap_or_default() {
            // Unlike a request it is not validated, so that it can be resumed while a target is down.
            let current = self.context.assignment(&partition).cloned().unwrap_or_default();
            reassignments.push((partition, reassign_to(&current, &targets)));
        }
        let mut begun = Vec::new();
        for (partition, result) in self.trigger_reassignments(reassignments).await? {
            match result {
                (ErrorCode::None, _) => begun.push(partition),
                refusal => drop(failed.insert(partition, refusal)),
            }
        }
        if !failed.is_empty() {
            warn!(
                ?failed,
                "cannot reassign partitions as /admin/reassign_partitions asks"
            );
            self.remove_from_znode(|partition, _| failed.contains_key(partition))
                .await?;
        }
        Ok(begun)
    }

    /// At the start of a term: what the znode asks for, which may be newer, and then all others under way.
    pub(super) async fn resume_reassignments_after_failover(&mut self) -> Result<(), ControllerError> {
        let begun = self.process_znode_reassignment().await?;
        self.resume_reassignments(|partition, _| !begun.contains(partition))
            .await
    }

    /// Brokers have started: reassignments that move partitions to them can go on.
    pub(super) async fn resume_reassignments_to(
        &mut self,
        brokers: &[BrokerId],
    ) -> Result<(), ControllerError> {
        self.resume_reassignments(|_, a| a.target_replicas().iter().any(|r| brokers.contains(r)))
            .await
    }

    async fn resume_reassignments(
        &mut self,
        select: impl Fn(&TopicPartition, &ReplicaAssignment) -> bool,
    ) -> Result<(), ControllerError> {
        for partition in self.context.partitions_being_reassigned.clone() {
            let assignment = self.context.assignment(&partition).cloned().unwrap_or_default();
            if select(&partition, &assignment) {
                self.on_partition_reassignment(&partition, assignment).await?;
            }
        }
        Ok(())
    }

    /// ISRs have changed: some reassignment may be complete.
    pub(super) async fn maybe_complete_reassignments(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<(), ControllerError> {
        for partition in partitions {
            if !self.context.partitions_being_reassigned.contains(partition) {
                continue;
            }
            let assignment = self.context.assignment(partition).cloned().unwrap_or_default();
            if self.is_reassignment_complete(partition, &assignment).await? {
                self.on_partition_reassignment(partition, assignment).await?;
            }
        }
        Ok(())
    }

    /// Validates a request and turns it into an assignment.
    fn plan(
        &self,
        partition: &TopicPartition,
        targets: Option<&[BrokerId]>,
    ) -> Result<ReplicaAssignment, (ErrorCode, Option<String>)> {
        let current = self.context.assignment(partition).cloned().unwrap_or_default();
        let Some(targets) = targets else {
            if current.is_being_reassigned() {
                return Ok(reassign_to(&current, &current.origin_replicas()));
            }
            let message = "No partition reassignment is in progress.".to_owned();
            return Err((ErrorCode::NoReassignmentInProgress, Some(message)));
        };
        let invalid = |message: String| Err((ErrorCode::InvalidReplicaAssignment, Some(message)));
        if targets.is_empty() {
            return invalid("Empty replica list specified in partition reassignment.".to_owned());
        }
        if targets.iter().enumerate().any(|(i, r)| targets[..i].contains(r)) {
            return invalid(format!(
                "Duplicate replica ids in partition reassignment replica list: {targets:?}"
            ));
        }
        if targets.iter().any(|&r| r < 0) {
            return invalid(format!("Invalid broker id in replica list: {targets:?}"));
        }
        let reassignment = reassign_to(&current, targets);
        if !reassignment.adding.iter().all(|&r| self.context.is_live(r)) {
            let adding = &reassignment.adding;
            let mut live = self.context.live_or_shutting_down_ids();
            live.retain(|&id| self.context.is_live(id));
            return invalid(format!(
                "Replica assignment has brokers that are not alive. Replica list: {adding:?}, live broker list: {live:?}"
            ));
        }
        Ok(reassignment)
    }

    async fn trigger_reassignments(
        &mut self,
        reassignments: Vec<(TopicPartition, ReplicaAssignment)>,
    ) -> Result<ReassignmentResult, ControllerError> {
        let mut results = ReassignmentResult::new();
        for (partition, reassignment) in reassignments {
            let result = match self.check_reassignment(&partition, &reassignment) {
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

    /// Whether a partition can be reassigned at all. One whose whole ISR consists of replicas that an earlier
    /// reassignment was adding must not lose these: that would be an unclean election in disguise. A ZooKeeper
    /// controller of Kafka 3.9 goes ahead and loses the records; this refusal is its KRaft controller's.
    fn check_reassignment(
        &self,
        partition: &TopicPartition,
        reassignment: &ReplicaAssignment,
    ) -> Result<(), (ErrorCode, &'static str)> {
        let unknown = self.context.replicas(partition).is_empty();
        if unknown || self.context.is_queued_for_deletion(&partition.topic) {
            return Err((
                ErrorCode::UnknownTopicOrPartition,
                "The partition does not exist.",
            ));
        }
        let isr = self
            .context
            .leadership(partition)
            .map(|l| &*l.leader_and_isr.isr)
            .unwrap_or_default();
        if !isr.is_empty() && !isr.iter().any(|r| reassignment.replicas.contains(r)) {
            let message =
                "Unable to revert partition assignment because it would require an unclean leader election.";
            return Err((ErrorCode::InvalidReplicaAssignment, message));
        }
        Ok(())
    }

    /// The next step of a reassignment, whichever it is.
    async fn on_partition_reassignment(
        &mut self,
        partition: &TopicPartition,
        reassignment: ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        self.mark_ineligible_for_deletion([partition.topic.clone()], "a partition is being reassigned");
        self.begin_reassignment(partition, &reassignment).await?;
        let adding = replicas_of(partition, &reassignment.adding);
        if !self.is_reassignment_complete(partition, &reassignment).await? {
            self.bump_leader_epoch_and_tell(partition, &reassignment).await?;
            // Resumed, it finds them further on.
            let adding = self.that_can_become(adding, ReplicaState::New);
            return self.move_replicas(adding, ReplicaState::New).await;
        }
        self.move_replicas(adding, ReplicaState::Online).await?;
        let completed = ReplicaAssignment::of(reassignment.target_replicas());
        self.context.set_assignment(partition, completed.clone());
        self.move_leader_if_required(partition, &completed).await?;
        self.stop_removed_replicas(partition, &reassignment.removing)
            .await?;
        self.write_assignment(partition, &completed).await?;
        self.context.set_assignment(partition, completed.clone());
        self.remove_from_znode(|p, replicas| p == partition && replicas == completed.replicas)
            .await?;
        self.context.partitions_being_reassigned.remove(partition);
        self.send_update_metadata(
            &self.context.live_or_shutting_down_ids(),
            std::slice::from_ref(partition),
        );
        info!(%partition, replicas = ?completed.replicas, "reassignment complete");
        self.resume_deletion_for_topics([partition.topic.clone()].into())
            .await
    }

    /// Phase U.
    async fn begin_reassignment(
        &mut self,
        partition: &TopicPartition,
        reassignment: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        let current = self.context.assignment(partition).cloned().unwrap_or_default();
        if current != *reassignment {
            info!(%partition, ?current, ?reassignment, "reassigns a partition");
            self.write_assignment(partition, reassignment).await?;
            self.context.set_assignment(partition, reassignment.clone());
            let unneeded: Vec<_> = current
                .replicas
                .iter()
                .copied()
                .filter(|r| !reassignment.replicas.contains(r))
                .collect();
            self.stop_removed_replicas(partition, &unneeded).await?;
        }
        self.context.partitions_being_reassigned.insert(partition.clone());
        Ok(())
    }

    /// Whether every target is in the ISR, by ZooKeeper and not by memory (fact 27).
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
        let mut states = cluster::partition_states(self.zk.store(), std::slice::from_ref(partition)).await?;
        let isr = states
            .remove(partition)
            .map(|s| s.leader_and_isr.isr)
            .unwrap_or_default();
        Ok(assignment.target_replicas().iter().all(|r| isr.contains(r)))
    }

    async fn move_leader_if_required(
        &mut self,
        partition: &TopicPartition,
        completed: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        let leader = self.context.leader(partition).unwrap_or(NO_BROKER);
        if completed.replicas.contains(&leader) && self.context.is_replica_online(leader, partition) {
            return self.bump_leader_epoch_and_tell(partition, completed).await;
        }
        let partitions = std::slice::from_ref(partition);
        self.bring_partitions_online(partitions, ElectionStrategy::Reassign)
            .await
            .map(drop)
    }

    /// Stops and deletes, without waiting whether the brokers manage to. If one of them led, as only a replica that an
    /// earlier reassignment was adding does here, or one without an heir, another leader is elected, which Kafka leaves
    /// to the next broker that dies and the next controller.
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
            self.move_replicas(replicas.clone(), state).await?;
        }
        if self.context.partition_state(partition) == PartitionState::Offline {
            let strategy = ElectionStrategy::Offline { allow_unclean: false };
            self.bring_partitions_online(std::slice::from_ref(partition), strategy)
                .await?;
        }
        Ok(())
    }

    async fn write_assignment(
        &mut self,
        partition: &TopicPartition,
        assignment: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        let mut partitions = self.context.topic_assignment(&partition.topic);
        partitions.insert(partition.partition, assignment.clone());
        let topic_id = Some(self.context.topic_id(&partition.topic)).filter(|id| !id.is_nil());
        self.zk
            .set_topic_assignment(&partition.topic, &TopicAssignment { topic_id, partitions })
            .await
    }

    /// Same leader, same ISR, one leader epoch later, so that the brokers take up the new assignment.
    async fn bump_leader_epoch_and_tell(
        &mut self,
        partition: &TopicPartition,
        assignment: &ReplicaAssignment,
    ) -> Result<(), ControllerError> {
        loop {
            let mut read = self
                .partition_states(std::slice::from_ref(partition), StateSource::ZooKeeper)
                .await?;
            let state = match read.pop() {
                Some((_, Ok(state))) => state.new_epoch(),
                Some((_, Err(error))) => {
                    error!(target: "state.change", %partition, %error, "cannot tell of a reassignment");
                    return Ok(());
                }
                None => return Ok(()),
            };
            let update = vec![(partition.clone(), state)];
            let mut written = self.zk.update_leader_and_isr(self.context.epoch, update).await?;
            match written.finished.pop() {
                Some((_, Ok(state))) => {
                    self.adopt_leadership(partition, &state);
                    break;
                }
                Some((_, Err(error))) => return Err(error.into()),
                None => {}
            }
        }
        let mut batch = BrokerRequestBatch::default();
        // Only the adding replicas are new: another one may be on a failed log dir (fact 15).
        batch.add_leader_and_isr(&self.context, &assignment.origin_replicas(), partition, false);
        batch.add_leader_and_isr(&self.context, &assignment.adding, partition, true);
        self.send(batch);
        Ok(())
    }

    async fn read_znode(
        &self,
        watch: bool,
    ) -> Result<Option<Vec<(TopicPartition, Vec<BrokerId>)>>, ControllerError> {
        let Some((data, _)) = self.zk.store().get(paths::REASSIGN_PARTITIONS, watch).await? else {
            return Ok(None);
        };
        Ok(Some(reassign_partitions::decode(&data).unwrap_or_else(|error| {
            warn!(%error, "unreadable request for reassignments ignored");
            Vec::new()
        })))
    }

    /// Takes partitions out of `/admin/reassign_partitions`, and deletes it with the last one.
    async fn remove_from_znode(
        &mut self,
        remove: impl Fn(&TopicPartition, &[BrokerId]) -> bool,
    ) -> Result<(), ControllerError> {
        let Some(mut requested) = self.read_znode(false).await? else {
            return Ok(());
        };
        requested.retain(|(partition, replicas)| !remove(partition, replicas));
        if requested.is_empty() {
            self.zk.delete(paths::REASSIGN_PARTITIONS).await?;
            // Arms the watch for the next one.
            self.events.put(ControllerEvent::ZnodeReassignment);
            return Ok(());
        }
        self.zk
            .create_or_set(
                paths::REASSIGN_PARTITIONS,
                reassign_partitions::encode(&requested),
            )
            .await
    }
}

fn replicas_of(partition: &TopicPartition, brokers: &[BrokerId]) -> Vec<PartitionAndReplica> {
    brokers
        .iter()
        .map(|&r| PartitionAndReplica::new(partition.clone(), r))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment(replicas: &[i32], adding: &[i32], removing: &[i32]) -> ReplicaAssignment {
        ReplicaAssignment {
            replicas: replicas.to_vec(),
            adding: adding.to_vec(),
            removing: removing.to_vec(),
        }
    }

    #[test]
    fn targets_come_first_and_originals_stay_until_the_end() {
        let stable = ReplicaAssignment::of(vec![1, 2, 3]);
        let moving = reassign_to(&stable, &[4, 5, 6]);
        assert_eq!(moving, assignment(&[4, 5, 6, 1, 2, 3], &[4, 5, 6], &[1, 2, 3]));
        assert_eq!(
            reassign_to(&moving, &[4, 1]),
            assignment(&[4, 1, 2, 3], &[4], &[2, 3])
        );
        assert_eq!(
            reassign_to(&moving, &moving.origin_replicas()),
            assignment(&[1, 2, 3], &[], &[])
        );
        assert_eq!(reassign_to(&stable, &[3, 1, 2]), assignment(&[3, 1, 2], &[], &[]));
        assert_eq!(reassign_to(&stable, &[2, 1]), assignment(&[2, 1, 3], &[], &[3]));
    }
}
