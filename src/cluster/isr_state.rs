//! Owns the in-sync replicas as the leader knows them: the ISR that the controller confirmed and the change that the
//! leader has proposed. Kafka 3.9: `PartitionState` with its cases `CommittedPartitionState`, `PendingExpandIsr`,
//! `PendingShrinkIsr`.

use crate::common::ids::BrokerId;
use crate::common::leader_and_isr::LeaderAndIsr;

/// The change that a leader proposes to the controller with AlterPartition. It is repeated unchanged, including the
/// order of the ISR, until the controller answers: the controller recognises a retry by that (fact 17).
pub type IsrProposal = LeaderAndIsr;

/// The ISR and its pending change; there is at most one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrState {
    /// The ISR that the controller last confirmed.
    Committed(Vec<BrokerId>),
    /// The leader has proposed to add a replica. The controller may already have added it.
    PendingExpand {
        /// The ISR before the change.
        committed: Vec<BrokerId>,
        /// The proposal.
        proposal: IsrProposal,
    },
    /// The leader has proposed to remove replicas. They count as members until the controller confirms the change.
    PendingShrink {
        /// The ISR before the change.
        committed: Vec<BrokerId>,
        /// The proposal.
        proposal: IsrProposal,
    },
}

impl Default for IsrState {
    fn default() -> Self {
        Self::Committed(Vec::new())
    }
}

impl IsrState {
    /// The ISR that the controller last confirmed. Its size decides whether a produce request with acks=all is
    /// accepted.
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed(committed)
            | Self::PendingExpand { committed, .. }
            | Self::PendingShrink { committed, .. } => committed,
        }
    }

    /// Every replica that may be in the ISR. An election could choose any of them, so the high watermark must wait for
    /// all of them (fact 37).
    pub fn maximal(&self) -> &[BrokerId] {
        match self {
            Self::Committed(committed) | Self::PendingShrink { committed, .. } => committed,
            Self::PendingExpand { proposal, .. } => &proposal.isr,
        }
    }

    /// The pending change.
    pub fn pending(&self) -> Option<&IsrProposal> {
        match self {
            Self::Committed(_) => None,
            Self::PendingExpand { proposal, .. } | Self::PendingShrink { proposal, .. } => Some(proposal),
        }
    }

    /// Whether a change is pending.
    #[cfg(test)]
    pub fn is_inflight(&self) -> bool {
        self.pending().is_some()
    }
}
