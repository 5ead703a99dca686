//! Moves replicas from one state to another: what each transition writes and sends. Kafka 3.9: `ZkReplicaStateMachine`.
//!
//! ```text
//! NonExistent -> New                          LeaderAndIsr (isNew) to its broker, if its partition has a leader
//! New -> Online                               nothing is sent: the partition's own transition does it
//! Online, Offline, Ineligible -> Online       LeaderAndIsr to its broker
//! New, Online, Offline, Ineligible -> Offline StopReplica to its broker; the replica leaves the ISR; LeaderAndIsr to
//!                                             the other replicas; if it led, its partition goes offline
//! Offline -> DeletionStarted                  StopReplica (delete) to its broker
//! DeletionStarted -> DeletionSuccessful       nothing is sent
//! DeletionStarted, Offline -> Ineligible      nothing is sent
//! DeletionSuccessful -> NonExistent           the replica leaves the assignment in memory
//! ```

use std::collections::BTreeMap;

use tracing::{error, info, trace};

use super::broker_request_batch::BrokerRequestBatch;
use super::context::{ControllerContext, PartitionAndReplica};
use super::error::ControllerError;
use super::partition_state::PartitionState;
use super::partition_state_machine::{StateChangeError, StateSource, move_partitions, partition_states};
use super::replica_state::ReplicaState;
use super::zk_client::ControllerZkClient;
use crate::common::ids::{BrokerId, NO_BROKER, TopicPartition};
use crate::common::leader_and_isr::LeaderAndIsr;

/// The transitions of replicas.
pub(super) struct ReplicaStateMachine<'a> {
    /// Takes the states that have been written.
    pub context: &'a mut ControllerContext,
    /// Takes the new ISRs.
    pub zk: &'a ControllerZkClient,
    /// Takes the requests to the brokers.
    pub batch: &'a mut BrokerRequestBatch,
}

impl ReplicaStateMachine<'_> {
    /// Gives every replica its first state: online, or ineligible for deletion while its broker is down. The online
    /// ones get a LeaderAndIsr. Returns the others, which have to leave the ISRs. A new controller begins with it.
    pub(super) async fn start(&mut self) -> Result<Vec<PartitionAndReplica>, ControllerError> {
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for replica in self.context.replicas_of(&self.context.all_partitions()) {
            let is_online = self
                .context
                .is_replica_online(replica.replica, &replica.partition);
            let state = if is_online {
                ReplicaState::Online
            } else {
                ReplicaState::DeletionIneligible
            };
            self.context.set_replica_state(&replica, state);
            if is_online {
                online.push(replica)
            } else {
                offline.push(replica)
            }
        }
        self.move_replicas(online, ReplicaState::Online).await?;
        Ok(offline)
    }

    /// Moves replicas to `target`. Illegal transitions are logged and skipped.
    pub(super) async fn move_replicas(
        &mut self,
        replicas: Vec<PartitionAndReplica>,
        target: ReplicaState,
    ) -> Result<(), ControllerError> {
        let mut by_broker: BTreeMap<BrokerId, Vec<PartitionAndReplica>> = BTreeMap::new();
        for replica in replicas {
            if self.is_valid_transition(&replica, target) {
                by_broker.entry(replica.replica).or_default().push(replica);
            }
        }
        for (broker, replicas) in by_broker {
            match target {
                ReplicaState::Offline => self.take_offline(broker, replicas).await?,
                _ => replicas.iter().for_each(|r| self.move_replica(r, target)),
            }
        }
        Ok(())
    }

    fn is_valid_transition(&self, replica: &PartitionAndReplica, to: ReplicaState) -> bool {
        let from = self.context.replica_state(replica);
        let valid = to.valid_previous_states().contains(&from);
        if !valid {
            error!(target: "state.change", controller_epoch = self.context.epoch, partition = %replica.partition,
                replica = replica.replica, ?from, ?to, "illegal transition of a replica skipped");
        }
        valid
    }

    /// Moves a replica to a state other than Offline, which does not need ZooKeeper.
    fn move_replica(&mut self, replica: &PartitionAndReplica, to: ReplicaState) {
        let from = self.context.replica_state(replica);
        let (partition, to_its_broker) = (&replica.partition, &[replica.replica]);
        match to {
            ReplicaState::New => match self.context.leader(partition) {
                Some(leader) if leader == replica.replica => {
                    error!(target: "state.change", controller_epoch = self.context.epoch, %partition,
                        replica = leader, "the leader of a partition cannot be a new replica");
                    return;
                }
                Some(_) => self
                    .batch
                    .add_leader_and_isr(self.context, to_its_broker, partition, true),
                None => {}
            },
            ReplicaState::Online if from == ReplicaState::New => self.ensure_assigned(replica),
            ReplicaState::Online => {
                if self.context.leadership(partition).is_some() {
                    self.batch
                        .add_leader_and_isr(self.context, to_its_broker, partition, false);
                }
            }
            ReplicaState::DeletionStarted => {
                self.batch
                    .add_stop_replica(self.context, to_its_broker, partition, true)
            }
            ReplicaState::NonExistent => self.unassign(replica),
            ReplicaState::Offline | ReplicaState::DeletionSuccessful | ReplicaState::DeletionIneligible => {}
        }
        self.note_replica_state(replica, to);
    }

    fn note_replica_state(&mut self, replica: &PartitionAndReplica, to: ReplicaState) {
        let from = self.context.replica_state(replica);
        trace!(target: "state.change", controller_epoch = self.context.epoch, partition = %replica.partition,
            replica = replica.replica, ?from, ?to, "changed the state of a replica");
        self.context.set_replica_state(replica, to);
    }

    fn ensure_assigned(&mut self, replica: &PartitionAndReplica) {
        let mut assignment = self.context.assignment_or_default(&replica.partition);
        if !assignment.replicas.contains(&replica.replica) {
            error!(partition = %replica.partition, replica = replica.replica, ?assignment,
                "adds a replica that the assignment does not have");
            assignment.replicas.push(replica.replica);
            self.context.set_assignment(&replica.partition, assignment);
        }
    }

    fn unassign(&mut self, replica: &PartitionAndReplica) {
        let Some(mut assignment) = self.context.assignment(&replica.partition).cloned() else {
            return;
        };
        for list in [
            &mut assignment.replicas,
            &mut assignment.adding,
            &mut assignment.removing,
        ] {
            list.retain(|&r| r != replica.replica);
        }
        self.context.set_assignment(&replica.partition, assignment);
    }

    /// Moves replicas of one broker to Offline.
    async fn take_offline(
        &mut self,
        broker: BrokerId,
        replicas: Vec<PartitionAndReplica>,
    ) -> Result<(), ControllerError> {
        for replica in &replicas {
            self.batch
                .add_stop_replica(self.context, &[broker], &replica.partition, false);
        }
        let has_leadership = |r: &PartitionAndReplica| self.context.leadership(&r.partition).is_some();
        let (led, leaderless): (Vec<_>, Vec<_>) = replicas.into_iter().partition(has_leadership);
        let led = led.into_iter().map(|r| r.partition).collect();
        for (partition, state) in self.remove_from_isr(broker, led).await? {
            info!(target: "state.change", controller_epoch = self.context.epoch, %partition, leader = state.leader,
                leader_epoch = state.leader_epoch, isr = ?state.isr, replica = broker, "replica is out of the isr");
            if state.leader == NO_BROKER && self.context.partition_state(&partition) == PartitionState::Online
            {
                // The caller elects another leader. If no replica is eligible, the next broker that starts may have
                // one.
                move_partitions(
                    self.context,
                    std::slice::from_ref(&partition),
                    PartitionState::Offline,
                );
            }
            if !self.context.is_queued_for_deletion(&partition.topic) {
                let others = self
                    .context
                    .replicas(&partition)
                    .iter()
                    .copied()
                    .filter(|&r| r != broker);
                let others: Vec<_> = others.collect();
                self.batch
                    .add_leader_and_isr(self.context, &others, &partition, false);
            }
            self.note_replica_state(
                &PartitionAndReplica::new(partition, broker),
                ReplicaState::Offline,
            );
        }
        for replica in leaderless {
            let brokers = self.context.live_or_shutting_down_ids();
            self.batch
                .add_update_metadata(self.context, &brokers, [&replica.partition]);
            self.note_replica_state(&replica, ReplicaState::Offline);
        }
        Ok(())
    }

    /// Takes a broker out of the ISRs of partitions. A write that is refused, because the leader has changed the state,
    /// is repeated. Returns the partitions whose ISR is without the broker now, changed or not. Logs failures.
    async fn remove_from_isr(
        &mut self,
        broker: BrokerId,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, LeaderAndIsr>, ControllerError> {
        let mut finished = BTreeMap::new();
        let (mut remaining, mut source) = (partitions, StateSource::Context);
        while !remaining.is_empty() {
            let mut updates = Vec::new();
            for (partition, state) in partition_states(self.context, self.zk, &remaining, source).await? {
                match state {
                    Ok(state) if state.isr.contains(&broker) => {
                        updates.push((partition, without_replica(&state, broker)));
                    }
                    Ok(state) => drop(finished.insert(partition, state)),
                    Err(StateChangeError::NoState)
                        if self.context.is_queued_for_deletion(&partition.topic) => {}
                    Err(error) => self.log_failed_removal(&partition, broker, &error),
                }
            }
            let written = self.zk.update_leader_and_isr(self.context.epoch, updates).await?;
            for (partition, result) in written.finished {
                match result {
                    Ok(state) => drop(finished.insert(partition, state)),
                    Err(error) => self.log_failed_removal(&partition, broker, &StateChangeError::Zk(error)),
                }
            }
            (remaining, source) = (written.to_retry, StateSource::ZooKeeper);
        }
        for (partition, state) in &finished {
            self.context.set_own_leadership(partition, state.clone());
        }
        Ok(finished)
    }

    fn log_failed_removal(&self, partition: &TopicPartition, replica: BrokerId, error: &StateChangeError) {
        error!(target: "state.change", controller_epoch = self.context.epoch, %partition, replica, %error,
            "failed to take a replica offline");
    }
}

/// The state without a replica. The last replica of the ISR stays in it, although the partition has no leader: it is
/// the only one that an election may choose without loss (fact 16).
fn without_replica(state: &LeaderAndIsr, replica: BrokerId) -> LeaderAndIsr {
    let leader = if state.leader == replica {
        NO_BROKER
    } else {
        state.leader
    };
    let isr = match &*state.isr {
        [last] => vec![*last],
        isr => isr.iter().copied().filter(|&r| r != replica).collect(),
    };
    state.new_leader_and_isr(leader, isr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_replica_of_an_isr_stays_in_it() {
        let alone = without_replica(&LeaderAndIsr::initial(1, vec![1]), 1);
        assert_eq!(
            (alone.leader, alone.leader_epoch, alone.isr),
            (NO_BROKER, 1, vec![1])
        );
        let follower = without_replica(&LeaderAndIsr::initial(3, vec![2, 3, 1]), 2);
        assert_eq!(
            (follower.leader, follower.leader_epoch, follower.isr),
            (3, 1, vec![3, 1])
        );
        let leader = without_replica(&LeaderAndIsr::initial(3, vec![2, 3, 1]), 3);
        assert_eq!(
            (leader.leader, leader.leader_epoch, leader.isr),
            (NO_BROKER, 1, vec![2, 1])
        );
    }
}
