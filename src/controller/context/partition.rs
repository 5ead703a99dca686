//! One partition in the context, and how it counts.

use std::collections::BTreeMap;

use crate::common::ids::BrokerId;
use crate::common::leader_and_isr::{LeaderIsrAndControllerEpoch, ReplicaAssignment};
use crate::controller::partition_state::PartitionState;
use crate::controller::replica_state::ReplicaState;

#[derive(Default)]
pub(super) struct Partition {
    pub assignment: ReplicaAssignment,
    pub leadership: Option<LeaderIsrAndControllerEpoch>,
    pub state: PartitionState,
    pub replica_states: BTreeMap<BrokerId, ReplicaState>,
}

/// The counts of partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// Partitions that have a state znode.
    pub with_state: usize,
    /// Partitions in the state Offline.
    pub offline: usize,
    /// Partitions whose leader is not the first replica.
    pub imbalanced: usize,
}

impl PartitionCounts {
    pub(super) fn of(partition: &Partition) -> Self {
        let leader = partition.leadership.as_ref().map(|l| l.leader_and_isr.leader);
        let preferred = partition.assignment.replicas.first().copied();
        Self {
            with_state: usize::from(leader.is_some()),
            offline: usize::from(partition.state == PartitionState::Offline),
            imbalanced: usize::from(leader.is_some() && leader != preferred),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.with_state += other.with_state;
        self.offline += other.offline;
        self.imbalanced += other.imbalanced;
    }

    pub(super) fn subtract(&mut self, other: Self) {
        self.with_state -= other.with_state;
        self.offline -= other.offline;
        self.imbalanced -= other.imbalanced;
    }
}
