//! The state of one partition in the cluster: its leader, its in-sync replicas, its assignment. Kafka 3.9:
//! `LeaderAndIsr`, `LeaderIsrAndControllerEpoch`, `ReplicaAssignment`.

use super::ids::{BrokerId, ControllerEpoch, LeaderEpoch, PartitionEpoch};

/// Whether a leader was elected out of the in-sync replicas (KIP-704).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(i8)]
pub enum LeaderRecoveryState {
    /// The usual case.
    #[default]
    Recovered = 0,
    /// The leader was elected uncleanly and has not yet recovered.
    Recovering = 1,
}

impl LeaderRecoveryState {
    /// The state with this number on the wire and in the state znode.
    pub fn from_i8(value: i8) -> Option<Self> {
        match value {
            0 => Some(Self::Recovered),
            1 => Some(Self::Recovering),
            _ => None,
        }
    }
}

/// Leader, epochs and in-sync replicas of one partition, as in its state znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderAndIsr {
    /// The leader, or [`NO_BROKER`](super::ids::NO_BROKER).
    pub leader: BrokerId,
    /// Each election increases it.
    pub leader_epoch: LeaderEpoch,
    /// In the order in which it was written: the code recognises retries by comparing lists (fact 17).
    pub isr: Vec<BrokerId>,
    /// Whether the last election was clean.
    pub recovery_state: LeaderRecoveryState,
    /// zkVersion of the state znode that this was read from or written as.
    pub partition_epoch: PartitionEpoch,
}

impl LeaderAndIsr {
    /// The state of a new partition: leader epoch 0, partition epoch 0.
    pub fn initial(leader: BrokerId, isr: Vec<BrokerId>) -> Self {
        Self {
            leader,
            leader_epoch: 0,
            isr,
            recovery_state: LeaderRecoveryState::Recovered,
            partition_epoch: 0,
        }
    }

    /// The same partition with another leader and ISR, one leader epoch later.
    pub fn new_leader_and_isr(&self, leader: BrokerId, isr: Vec<BrokerId>) -> Self {
        Self {
            leader,
            leader_epoch: self.leader_epoch + 1,
            isr,
            ..self.clone()
        }
    }

    /// The same leader and ISR, one leader epoch later.
    pub fn new_epoch(&self) -> Self {
        self.new_leader_and_isr(self.leader, self.isr.clone())
    }

    /// Whether the partition has a leader.
    #[cfg(test)]
    pub fn has_leader(&self) -> bool {
        self.leader != super::ids::NO_BROKER
    }
}

/// A [`LeaderAndIsr`] together with the epoch of the controller that decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderIsrAndControllerEpoch {
    /// The decision.
    pub leader_and_isr: LeaderAndIsr,
    /// The epoch of the controller that decided.
    pub controller_epoch: ControllerEpoch,
}

/// The brokers a partition is assigned to. The first replica is the preferred leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaAssignment {
    /// Every replica, including those that are being added and removed.
    pub replicas: Vec<BrokerId>,
    /// Replicas that a reassignment is adding.
    pub adding: Vec<BrokerId>,
    /// Replicas that a reassignment will remove.
    pub removing: Vec<BrokerId>,
}

impl ReplicaAssignment {
    /// An assignment with no reassignment under way.
    pub fn of(replicas: Vec<BrokerId>) -> Self {
        Self {
            replicas,
            ..Self::default()
        }
    }

    /// Whether a reassignment is under way.
    pub fn is_being_reassigned(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas before the reassignment.
    pub fn origin_replicas(&self) -> Vec<BrokerId> {
        self.replicas
            .iter()
            .copied()
            .filter(|r| !self.adding.contains(r))
            .collect()
    }

    /// The replicas after the reassignment.
    pub fn target_replicas(&self) -> Vec<BrokerId> {
        self.replicas
            .iter()
            .copied()
            .filter(|r| !self.removing.contains(r))
            .collect()
    }
}
