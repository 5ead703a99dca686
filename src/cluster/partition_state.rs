//! Makes every decision about one partition, without I/O and without a clock. Kafka 3.9: the decisions of `Partition`.
//!
//! Two epochs are compared:
//! - leader epoch: counts the leaderships; fences fetches, appends and decisions of earlier leaderships;
//! - partition epoch: the version of the state znode; fences ISR changes within one leader epoch.

use super::isr_state::{IsrProposal, IsrState};
use super::replica::Replica;
use crate::common::error::ErrorCode;
use crate::common::ids::{
    BrokerId, ControllerEpoch, LeaderEpoch, NO_BROKER, NO_LEADER_EPOCH, Offset, PartitionEpoch,
};
use crate::common::leader_and_isr::{LeaderAndIsr, LeaderRecoveryState, ReplicaAssignment};
#[cfg(test)]
use crate::common::planted::{self, Mistake};

/// The controller's decision on one partition, as LeaderAndIsr brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadershipDecision {
    /// The epoch of the controller that decided.
    pub controller_epoch: ControllerEpoch,
    /// Leader, epochs, ISR.
    pub leader_and_isr: LeaderAndIsr,
    /// The assigned replicas.
    pub assignment: ReplicaAssignment,
    /// Whether no replica existed on this broker before (fact 15).
    pub is_new: bool,
}

/// The role of this broker in the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// The controller has not named a role yet.
    Unassigned,
    /// This broker leads.
    Leader {
        /// The leader epoch since which this broker has led without a break. Records that were appended since then
        /// still exist.
        since: LeaderEpoch,
        /// The end of the log when the current leader epoch started.
        epoch_start_offset: Offset,
    },
    /// Another broker leads.
    Follower {
        /// The leader.
        leader: BrokerId,
    },
}

/// The outcome of a proposal to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlterPartitionOutcome {
    /// The answer belongs to a proposal that is no longer pending.
    Stale,
    /// The leader has adopted the controller's ISR.
    Committed,
    /// The controller refused the proposal; the leader goes back to the committed ISR.
    RolledBack,
    /// Both outcomes are possible until a LeaderAndIsr tells the controller's state.
    AwaitLeaderAndIsr,
    /// The same proposal must be sent again.
    Retry,
}

/// The state of one partition on this broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    local_broker: BrokerId,
    replica_lag_time_max_ms: i64,
    role: Role,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    controller_epoch: ControllerEpoch,
    assignment: ReplicaAssignment,
    isr: IsrState,
    /// The other assigned replicas; only leaders keep them.
    remote_replicas: Vec<Replica>,
}

impl PartitionState {
    /// Creates a partition that the controller has not named yet.
    pub fn new(local_broker: BrokerId, replica_lag_time_max_ms: i64) -> Self {
        Self {
            local_broker,
            replica_lag_time_max_ms,
            role: Role::Unassigned,
            leader_epoch: NO_LEADER_EPOCH,
            partition_epoch: -1,
            controller_epoch: 0,
            assignment: ReplicaAssignment::default(),
            isr: IsrState::default(),
            remote_replicas: Vec::new(),
        }
    }

    /// Whether this broker leads the partition.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    /// The leader; [`NO_BROKER`] while it is not known.
    pub fn leader(&self) -> BrokerId {
        match self.role {
            Role::Unassigned => NO_BROKER,
            Role::Leader { .. } => self.local_broker,
            Role::Follower { leader } => leader,
        }
    }

    /// The leader epoch; -1 before the controller has named one.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The assigned replicas.
    pub fn assignment(&self) -> &ReplicaAssignment {
        &self.assignment
    }

    /// The in-sync replicas; empty on a follower.
    pub fn isr(&self) -> &IsrState {
        &self.isr
    }

    /// The followers of a leader.
    pub fn remote_replicas(&self) -> &[Replica] {
        &self.remote_replicas
    }

    /// The start of the current leader epoch; only the leader knows it.
    pub fn leader_epoch_start_offset(&self) -> Option<Offset> {
        match self.role {
            Role::Leader {
                epoch_start_offset, ..
            } => Some(epoch_start_offset),
            _ => None,
        }
    }

    /// Whether this broker has led without a break since the leader epoch `epoch`.
    pub fn has_led_since(&self, epoch: LeaderEpoch) -> bool {
        matches!(self.role, Role::Leader { since, .. } if since <= epoch)
    }

    /// Compares the epoch in a request with the partition's epoch; with `None` there is no check.
    pub fn check_leader_epoch(&self, requested: Option<LeaderEpoch>) -> Result<(), ErrorCode> {
        match requested {
            Some(epoch) if epoch < self.leader_epoch => Err(ErrorCode::FencedLeaderEpoch),
            Some(epoch) if epoch > self.leader_epoch => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Whether a decision is older than the present state. A LeaderAndIsr of a restarted controller may be older.
    pub fn is_outdated(&self, decision: &LeadershipDecision) -> bool {
        decision.leader_and_isr.partition_epoch < self.partition_epoch
    }

    /// Whether a decision starts a new leader epoch.
    pub fn is_new_leader_epoch(&self, decision: &LeadershipDecision) -> bool {
        decision.leader_and_isr.leader_epoch > self.leader_epoch
    }

    /// Makes this broker the leader. The caller has written the start of the epoch to disk; for a new epoch, the start
    /// is `log_end_offset` (fact 32).
    pub fn become_leader(&mut self, decision: &LeadershipDecision, log_end_offset: Offset, now_ms: i64) {
        debug_assert!(!self.is_outdated(decision));
        let is_new_leader = !self.is_leader();
        let is_new_epoch = self.is_new_leader_epoch(decision);
        let isr = &decision.leader_and_isr.isr;
        let known = std::mem::take(&mut self.remote_replicas);
        let remote = decision
            .assignment
            .replicas
            .iter()
            .filter(|&&r| r != self.local_broker);
        self.remote_replicas = remote
            .map(|&id| {
                let known = known.iter().find(|r| r.broker_id() == id).copied();
                let mut replica = known.unwrap_or_else(|| Replica::new(id));
                if is_new_epoch {
                    replica.reset(now_ms, log_end_offset, is_new_leader, isr.contains(&id));
                }
                replica
            })
            .collect();
        self.role = match self.role {
            Role::Leader {
                since,
                epoch_start_offset,
            } => Role::Leader {
                since,
                epoch_start_offset: if is_new_epoch {
                    log_end_offset
                } else {
                    epoch_start_offset
                },
            },
            _ => Role::Leader {
                since: decision.leader_and_isr.leader_epoch,
                epoch_start_offset: log_end_offset,
            },
        };
        self.isr = IsrState::Committed(isr.clone());
        self.adopt(decision);
    }

    /// Makes this broker a follower of another broker.
    pub fn become_follower(&mut self, decision: &LeadershipDecision) {
        debug_assert!(!self.is_outdated(decision));
        self.role = Role::Follower {
            leader: decision.leader_and_isr.leader,
        };
        self.isr = IsrState::default();
        self.remote_replicas.clear();
        self.adopt(decision);
    }

    /// Forgets the role, because the replica is gone. The epochs are forgotten too, so that the same decision can bring
    /// the replica back.
    pub fn resign(&mut self) {
        *self = Self::new(self.local_broker, self.replica_lag_time_max_ms);
    }

    fn adopt(&mut self, decision: &LeadershipDecision) {
        self.leader_epoch = self.leader_epoch.max(decision.leader_and_isr.leader_epoch);
        self.partition_epoch = decision.leader_and_isr.partition_epoch;
        self.controller_epoch = decision.controller_epoch;
        self.assignment = decision.assignment.clone();
    }

    /// The smallest log start offset of the leader (`local`) and its live followers; below 0 if one of these followers
    /// has not fetched yet.
    pub fn low_watermark(&self, local: Offset, is_alive: &dyn Fn(BrokerId) -> bool) -> Offset {
        let live = self.remote_replicas.iter().filter(|r| is_alive(r.broker_id()));
        live.map(Replica::log_start_offset).fold(local, Offset::min)
    }

    /// Records a fetch by one of our followers; true if the start of its log has changed.
    pub fn on_follower_fetch(
        &mut self,
        follower: BrokerId,
        fetch_offset: Offset,
        log_start_offset: Offset,
        leader_log_end_offset: Offset,
        now_ms: i64,
    ) -> bool {
        let known = self
            .remote_replicas
            .iter_mut()
            .find(|r| r.broker_id() == follower);
        let Some(replica) = known else {
            return false;
        };
        let before = replica.log_start_offset();
        replica.on_fetch(fetch_offset, log_start_offset, leader_log_end_offset, now_ms);
        before != log_start_offset
    }

    /// Whether a broker is one of this leader's followers.
    pub fn is_follower(&self, broker: BrokerId) -> bool {
        self.remote_replicas.iter().any(|r| r.broker_id() == broker)
    }

    /// `min.insync.replicas`, but at most the number of replicas.
    pub fn effective_min_isr(&self, min_insync_replicas: i32) -> usize {
        let configured = usize::try_from(min_insync_replicas).unwrap_or(1);
        configured.min(self.remote_replicas.len() + 1)
    }

    /// Whether acks=all must be refused.
    pub fn is_under_min_isr(&self, min_insync_replicas: i32) -> bool {
        self.isr.committed().len() < self.effective_min_isr(min_insync_replicas)
    }

    /// Whether records that were acknowledged with acks=all may have lost their guarantee since (fact 42).
    pub fn may_be_under_min_isr_after_append(&self, min_insync_replicas: i32) -> bool {
        self.isr.maximal().len() < self.effective_min_isr(min_insync_replicas)
    }

    /// The highest possible high watermark: all replicas that could be elected or are about to join the ISR have the
    /// records below it. `None` while the ISR is below its minimum (fact 38). The caller never moves the high watermark
    /// back.
    pub fn high_watermark_candidate(
        &self,
        log_end_offset: Offset,
        now_ms: i64,
        min_insync_replicas: i32,
        is_alive: &dyn Fn(BrokerId) -> bool,
    ) -> Option<Offset> {
        if !self.is_leader() || self.is_under_min_isr(min_insync_replicas) {
            return None;
        }
        #[cfg(test)]
        if planted::is_planted(Mistake::HighWatermarkIgnoresIsr) {
            return Some(log_end_offset);
        }
        let counts = |replica: &&Replica| {
            self.isr.maximal().contains(&replica.broker_id())
                || (replica.is_caught_up(log_end_offset, now_ms, self.replica_lag_time_max_ms)
                    && is_alive(replica.broker_id()))
        };
        let remote = self
            .remote_replicas
            .iter()
            .filter(counts)
            .map(Replica::log_end_offset);
        Some(remote.fold(log_end_offset, Offset::min))
    }

    /// Proposes to add a follower to the ISR if the follower has caught up; `None` if it has not (fact 33).
    pub fn maybe_expand_isr(
        &mut self,
        follower: BrokerId,
        high_watermark: Offset,
        is_alive: &dyn Fn(BrokerId) -> bool,
    ) -> Option<IsrProposal> {
        let IsrState::Committed(committed) = &self.isr else {
            return None;
        };
        if committed.contains(&follower) {
            return None;
        }
        let epoch_start_offset = self.leader_epoch_start_offset()?;
        let replica = self.remote_replicas.iter().find(|r| r.broker_id() == follower)?;
        let end = replica.log_end_offset();
        if end < high_watermark || end < epoch_start_offset || !is_alive(follower) {
            return None;
        }
        let mut isr = committed.clone();
        isr.push(follower);
        let proposal = self.propose(isr);
        self.isr = IsrState::PendingExpand {
            committed: committed.clone(),
            proposal: proposal.clone(),
        };
        Some(proposal)
    }

    /// Proposes to remove the followers that have not been caught up for longer than `replica.lag.time.max.ms`; `None`
    /// if there are none. A member of the ISR that is not assigned counts as out of sync (fact 78).
    pub fn maybe_shrink_isr(&mut self, log_end_offset: Offset, now_ms: i64) -> Option<IsrProposal> {
        let IsrState::Committed(committed) = &self.isr else {
            return None;
        };
        if !self.is_leader() {
            return None;
        }
        let in_sync = |id: BrokerId| {
            id == self.local_broker
                || self.remote_replicas.iter().any(|r| {
                    r.broker_id() == id
                        && r.is_caught_up(log_end_offset, now_ms, self.replica_lag_time_max_ms)
                })
        };
        let isr: Vec<BrokerId> = committed.iter().copied().filter(|&id| in_sync(id)).collect();
        if isr.len() == committed.len() {
            return None;
        }
        let proposal = self.propose(isr);
        self.isr = IsrState::PendingShrink {
            committed: committed.clone(),
            proposal: proposal.clone(),
        };
        Some(proposal)
    }

    fn propose(&self, isr: Vec<BrokerId>) -> IsrProposal {
        LeaderAndIsr {
            leader: self.local_broker,
            leader_epoch: self.leader_epoch,
            isr,
            recovery_state: LeaderRecoveryState::Recovered,
            partition_epoch: self.partition_epoch,
        }
    }

    /// Applies the controller's answer to `proposal`.
    pub fn on_alter_partition(
        &mut self,
        proposal: &IsrProposal,
        answer: Result<LeaderAndIsr, ErrorCode>,
    ) -> AlterPartitionOutcome {
        if self.isr.pending() != Some(proposal) {
            return AlterPartitionOutcome::Stale;
        }
        match answer {
            Ok(decided)
                if decided.leader_epoch == self.leader_epoch
                    && decided.partition_epoch >= self.partition_epoch =>
            {
                self.partition_epoch = decided.partition_epoch;
                self.isr = IsrState::Committed(decided.isr);
                AlterPartitionOutcome::Committed
            }
            Ok(_) => AlterPartitionOutcome::AwaitLeaderAndIsr,
            Err(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) => {
                self.isr = IsrState::Committed(self.isr.committed().to_vec());
                AlterPartitionOutcome::RolledBack
            }
            Err(
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId
                | ErrorCode::FencedLeaderEpoch
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::NewLeaderElected,
            ) => AlterPartitionOutcome::AwaitLeaderAndIsr,
            Err(_) => AlterPartitionOutcome::Retry,
        }
    }
}

#[cfg(test)]
mod tests;
