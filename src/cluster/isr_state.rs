//! The in-sync replicas as the leader knows them: what is committed and what it has asked for.
//! Kafka 3.9: `PartitionState` with its cases `CommittedPartitionState`, `PendingExpandIsr`, `PendingShrinkIsr`.

use crate::common::ids::BrokerId;
use crate::common::leader_and_isr::LeaderAndIsr;

/// What a leader asks of the controller with AlterPartition. It is repeated unchanged, order of the ISR
/// included, until it is answered: the controller recognises a retry by that (fact 17).
pub type IsrProposal = LeaderAndIsr;

/// At most one change is under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrState {
    /// As the controller last said.
    Committed(Vec<BrokerId>),
    /// A replica is to be added; it may already have been, without our knowing.
    PendingExpand {
        /// The ISR before.
        committed: Vec<BrokerId>,
        /// What was asked for.
        proposal: IsrProposal,
    },
    /// Replicas are to be removed; until that is known to have happened they count.
    PendingShrink {
        /// The ISR before.
        committed: Vec<BrokerId>,
        /// What was asked for.
        proposal: IsrProposal,
    },
}

impl Default for IsrState {
    fn default() -> Self {
        Self::Committed(Vec::new())
    }
}

impl IsrState {
    /// The ISR that the controller last confirmed: what a produce request with acks=all is admitted by.
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed(committed)
            | Self::PendingExpand { committed, .. }
            | Self::PendingShrink { committed, .. } => committed,
        }
    }

    /// Every replica that may be in the ISR: an election could choose any of them, so the high watermark must
    /// wait for all of them (fact 37).
    pub fn maximal(&self) -> &[BrokerId] {
        match self {
            Self::Committed(committed) | Self::PendingShrink { committed, .. } => committed,
            Self::PendingExpand { proposal, .. } => &proposal.isr,
        }
    }

    /// The change that is under way.
    pub fn pending(&self) -> Option<&IsrProposal> {
        match self {
            Self::Committed(_) => None,
            Self::PendingExpand { proposal, .. } | Self::PendingShrink { proposal, .. } => Some(proposal),
        }
    }

    /// Whether a change is under way.
    #[cfg(test)]
    pub fn is_inflight(&self) -> bool {
        self.pending().is_some()
    }
}
