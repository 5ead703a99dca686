//! Moves partitions from one state to another: what each transition writes and sends. Kafka 3.9:
//! `ZkPartitionStateMachine`.
//!
//! ```text
//! NonExistent -> New                    nothing is written or sent
//! New -> Online                         the state znode is created; LeaderAndIsr (isNew) to the live replicas
//! Online, Offline -> Online             a leader is elected and written; LeaderAndIsr to the election's recipients
//! New, Online, Offline -> Offline       nothing is written or sent
//! Offline -> NonExistent                nothing is written or sent
//! ```

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use tracing::{error, info, trace, warn};

use super::broker_request_batch::BrokerRequestBatch;
use super::context::ControllerContext;
use super::election::{Candidates, ElectionResult, ElectionStrategy, elect};
use super::error::ControllerError;
use super::partition_state::PartitionState;
use super::zk_client::ControllerZkClient;
use crate::common::ids::{ControllerEpoch, TopicName, TopicPartition};
use crate::common::leader_and_isr::LeaderAndIsr;
use crate::config::CurrentConfig;
use crate::metrics::Meter;
use crate::zk::{ZkError, cluster};

/// The reason why one partition did not get a leader. Others of the same call may have got one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateChangeError {
    /// The partition's state does not allow the transition.
    #[error("the partition is {from:?}, from where it cannot become {to:?}")]
    InvalidTransition {
        /// The partition's state.
        from: PartitionState,
        /// The state that the partition should enter.
        to: PartitionState,
    },
    /// No replica is eligible.
    #[error("no replica can be elected by strategy {0:?}")]
    NoEligibleLeader(ElectionStrategy),
    /// The state znode is missing or unreadable.
    #[error("there is no readable partition state in ZooKeeper")]
    NoState,
    /// A controller of a newer epoch has written the state.
    #[error("the partition state was written by a controller of epoch {0}, newer than this one")]
    NewerController(ControllerEpoch),
    /// ZooKeeper refused the write.
    #[error(transparent)]
    Zk(ZkError),
}

/// The result of an election by partition: the new leader and ISR, or the error.
pub type ElectedLeaders = BTreeMap<TopicPartition, Result<LeaderAndIsr, StateChangeError>>;

/// Partitions with their present leader and ISR, or the reason why these cannot change.
pub(super) type PartitionStates = Vec<(TopicPartition, Result<LeaderAndIsr, StateChangeError>)>;

/// The source of the state that a change begins with. ZooKeeper takes a change only if the state znode still has the
/// version of that state, so a change can begin with the context, which has the state that this controller wrote or
/// read last. Brokers older than 2.7 are the only other writers. Kafka reads every state from ZooKeeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateSource {
    /// The context; partitions that have no state in it are read from ZooKeeper.
    Context,
    /// ZooKeeper, for the repetition of a refused write.
    ZooKeeper,
}

/// Gives every partition the state that its leader and the live brokers imply. A new controller begins with it.
pub(super) fn initialize_partition_states(context: &mut ControllerContext) {
    for partition in context.all_partitions() {
        let state = match context.leader(&partition) {
            None => PartitionState::New,
            Some(leader) if context.is_replica_online(leader, &partition) => PartitionState::Online,
            Some(_) => PartitionState::Offline,
        };
        context.set_partition_state(&partition, state);
    }
}

/// Moves partitions to New, Offline or NonExistent, which needs neither ZooKeeper nor the brokers.
pub(super) fn move_partitions(
    context: &mut ControllerContext,
    partitions: &[TopicPartition],
    target: PartitionState,
) {
    assert_ne!(
        target,
        PartitionState::Online,
        "a partition comes online by an election"
    );
    for partition in with_valid_transition(context, partitions, target).0 {
        let from = context.partition_state(&partition);
        trace!(target: "state.change", controller_epoch = context.epoch, %partition, ?from, to = ?target,
            "changed the state of a partition");
        context.set_partition_state(&partition, target);
    }
}

/// Splits partitions into those that may enter a state and those that may not. Logs the latter.
fn with_valid_transition(
    context: &ControllerContext,
    partitions: &[TopicPartition],
    to: PartitionState,
) -> (Vec<TopicPartition>, ElectedLeaders) {
    let (mut valid, mut invalid) = (Vec::with_capacity(partitions.len()), ElectedLeaders::new());
    for partition in partitions {
        let from = context.partition_state(partition);
        if to.valid_previous_states().contains(&from) {
            valid.push(partition.clone());
        } else {
            error!(target: "state.change", controller_epoch = context.epoch, %partition, ?from, ?to,
                "illegal transition of a partition skipped");
            invalid.insert(
                partition.clone(),
                Err(StateChangeError::InvalidTransition { from, to }),
            );
        }
    }
    (valid, invalid)
}

/// The states that a change begins with. A state that is missing, unreadable or of a newer controller is an error.
pub(super) async fn partition_states(
    context: &ControllerContext,
    zk: &ControllerZkClient,
    partitions: &[TopicPartition],
    source: StateSource,
) -> Result<PartitionStates, ControllerError> {
    let epoch = context.epoch;
    let known = |partition: &TopicPartition| match source {
        StateSource::Context => context.leadership(partition).cloned(),
        StateSource::ZooKeeper => None,
    };
    let known: BTreeMap<_, _> = partitions
        .iter()
        .filter_map(|partition| {
            Some((
                partition,
                known(partition).filter(|s| s.controller_epoch <= epoch)?,
            ))
        })
        .collect();
    let unknown = partitions.iter().filter(|p| !known.contains_key(p)).cloned();
    let unknown: Vec<_> = unknown.collect();
    let mut found = cluster::partition_states(zk.store(), &unknown).await?;
    let check = |partition: &TopicPartition| {
        let state = known.get(partition).cloned().or_else(|| found.remove(partition));
        let state = match state {
            None => Err(StateChangeError::NoState),
            Some(s) if s.controller_epoch > epoch => {
                Err(StateChangeError::NewerController(s.controller_epoch))
            }
            Some(s) => Ok(s.leader_and_isr),
        };
        (partition.clone(), state)
    };
    Ok(partitions.iter().map(check).collect())
}

/// The transition to Online, the only one that needs ZooKeeper and the brokers.
pub(super) struct PartitionStateMachine<'a> {
    /// Takes the states that have been written.
    pub context: &'a mut ControllerContext,
    /// Takes the new states.
    pub zk: &'a ControllerZkClient,
    /// Takes the requests to the brokers.
    pub batch: &'a mut BrokerRequestBatch,
    /// Says whether topics without a setting of their own allow unclean elections.
    pub config: &'a CurrentConfig,
    /// Counts the unclean elections.
    pub unclean_elections: &'a Meter,
}

impl PartitionStateMachine<'_> {
    /// Moves partitions to Online: gives new ones their first leader, and elects a leader for the others. Partitions
    /// that were new are not in the result.
    pub(super) async fn bring_online(
        &mut self,
        partitions: &[TopicPartition],
        strategy: ElectionStrategy,
    ) -> Result<ElectedLeaders, ControllerError> {
        let (valid, mut results) = with_valid_transition(self.context, partitions, PartitionState::Online);
        let is_new = |p: &TopicPartition| self.context.partition_state(p) == PartitionState::New;
        let (new, to_elect): (Vec<_>, Vec<_>) = valid.into_iter().partition(is_new);
        self.initialize_leader_and_isr(new).await?;
        for (partition, result) in self.elect_leaders(to_elect, strategy).await? {
            match &result {
                Ok(state) => self.note_online(&partition, state),
                Err(error) => {
                    warn!(target: "state.change", controller_epoch = self.context.epoch, %partition,
                    %error, "failed to elect a leader")
                }
            }
            results.insert(partition, result);
        }
        Ok(results)
    }

    fn note_online(&mut self, partition: &TopicPartition, state: &LeaderAndIsr) {
        info!(target: "state.change", controller_epoch = self.context.epoch, %partition, leader = state.leader,
            leader_epoch = state.leader_epoch, isr = ?state.isr, partition_epoch = state.partition_epoch,
            "partition is online");
        self.context
            .set_partition_state(partition, PartitionState::Online);
    }

    /// Gives new partitions their first leader: the first live replica. All live replicas are in the ISR. A partition
    /// without a live replica stays new.
    async fn initialize_leader_and_isr(
        &mut self,
        partitions: Vec<TopicPartition>,
    ) -> Result<(), ControllerError> {
        let mut states = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let replicas = self.context.replicas(&partition);
            let online = replicas
                .iter()
                .copied()
                .filter(|&r| self.context.is_replica_online(r, &partition));
            let isr: Vec<_> = online.collect();
            match isr.first() {
                Some(&leader) => states.push((partition, LeaderAndIsr::initial(leader, isr))),
                None => error!(target: "state.change", controller_epoch = self.context.epoch, %partition,
                    ?replicas, "no assigned replica is alive, the partition stays new"),
            }
        }
        let created = self
            .zk
            .create_partition_states(self.context.epoch, &states)
            .await?;
        for ((partition, state), result) in states.into_iter().zip(created) {
            if let Err(error) = result {
                error!(target: "state.change", controller_epoch = self.context.epoch, %partition, %error,
                    "failed to create the state of a new partition");
                continue;
            }
            self.context.set_own_leadership(&partition, state.clone());
            self.batch
                .add_leader_and_isr(self.context, &state.isr, &partition, true);
            self.note_online(&partition, &state);
        }
        Ok(())
    }

    /// Elects until every partition has either a leader or an error. An election whose write is refused, because the
    /// state has changed, is repeated with the state that ZooKeeper has.
    async fn elect_leaders(
        &mut self,
        partitions: Vec<TopicPartition>,
        strategy: ElectionStrategy,
    ) -> Result<ElectedLeaders, ControllerError> {
        let mut results = ElectedLeaders::new();
        let (mut remaining, mut source) = (partitions, StateSource::Context);
        while !remaining.is_empty() {
            let states = partition_states(self.context, self.zk, &remaining, source).await?;
            remaining = self.elect_leaders_once(states, strategy, &mut results).await?;
            source = StateSource::ZooKeeper;
        }
        Ok(results)
    }

    /// Elects once. Returns the partitions whose election has to be repeated.
    async fn elect_leaders_once(
        &mut self,
        found: PartitionStates,
        strategy: ElectionStrategy,
        results: &mut ElectedLeaders,
    ) -> Result<Vec<TopicPartition>, ControllerError> {
        let mut states = Vec::with_capacity(found.len());
        for (partition, state) in found {
            match state {
                Ok(state) => states.push((partition, state)),
                Err(error) => drop(results.insert(partition, Err(error))),
            }
        }
        let unclean = self.topics_with_unclean_election(strategy, &states).await?;
        let (mut updates, mut recipients) = (Vec::new(), BTreeMap::new());
        for (partition, state) in states {
            let strategy = match strategy {
                ElectionStrategy::Offline { allow_unclean } => ElectionStrategy::Offline {
                    allow_unclean: allow_unclean || unclean.contains(&partition.topic),
                },
                other => other,
            };
            let result = self.elect_leader(&partition, &state, strategy);
            match result.elected {
                Some(state) => {
                    recipients.insert(partition.clone(), result.recipients);
                    updates.push((partition, state));
                }
                None => {
                    drop(results.insert(partition, Err(StateChangeError::NoEligibleLeader(strategy))));
                }
            }
        }
        let written = self.zk.update_leader_and_isr(self.context.epoch, updates).await?;
        for (partition, result) in written.finished {
            if let Ok(state) = &result {
                self.context.set_own_leadership(&partition, state.clone());
                self.batch
                    .add_leader_and_isr(self.context, &recipients[&partition], &partition, false);
            }
            results.insert(partition, result.map_err(StateChangeError::Zk));
        }
        Ok(written.to_retry)
    }

    fn elect_leader(
        &self,
        partition: &TopicPartition,
        state: &LeaderAndIsr,
        strategy: ElectionStrategy,
    ) -> ElectionResult {
        let assignment = self.context.assignment_or_default(partition);
        let replicas = assignment.replicas.iter().chain(&state.isr).copied();
        let serving = replicas
            .filter(|&r| self.context.is_replica_serving(r, partition))
            .collect();
        let candidates = Candidates {
            assignment: &assignment,
            state,
            serving: &serving,
            shutting_down: &self.context.shutting_down,
        };
        let result = elect(strategy, candidates);
        if result.unclean {
            self.unclean_elections.mark(1);
            info!(target: "state.change", controller_epoch = self.context.epoch, %partition,
                old_isr = ?state.isr, "elects a leader that is out of sync, records may be lost");
        }
        result
    }

    /// Topics that have a partition without an online replica in the ISR, and whose configuration allows an unclean
    /// leader. The configuration is read from ZooKeeper now (fact 29).
    async fn topics_with_unclean_election(
        &self,
        strategy: ElectionStrategy,
        states: &[(TopicPartition, LeaderAndIsr)],
    ) -> Result<BTreeSet<TopicName>, ControllerError> {
        if strategy != (ElectionStrategy::Offline { allow_unclean: false }) {
            return Ok(BTreeSet::new());
        }
        let none_in_sync_online = |(partition, state): &&(TopicPartition, LeaderAndIsr)| {
            !state
                .isr
                .iter()
                .any(|&r| self.context.is_replica_online(r, partition))
        };
        let topics: BTreeSet<_> = states
            .iter()
            .filter(none_in_sync_online)
            .map(|(p, _)| p.topic.clone())
            .collect();
        let default = self.config.load().unclean_leader_election_enable;
        let allowed = join_all(
            topics
                .iter()
                .map(|t| self.zk.unclean_election_enabled(t, default)),
        )
        .await;
        let mut unclean = BTreeSet::new();
        for (topic, allowed) in topics.into_iter().zip(allowed) {
            if allowed? {
                unclean.insert(topic);
            }
        }
        Ok(unclean)
    }
}
