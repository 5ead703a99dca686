//! Whether this broker answers for a partition of a coordinator's topic.

use crate::common::ids::LeaderEpoch;

/// Who answers for a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ownership {
    /// Another broker, or none.
    #[default]
    Elsewhere,
    /// This broker, as soon as it has read the log.
    Loading {
        /// Which of the loads that were begun is the valid one.
        load: u64,
    },
    /// This broker.
    Owned,
}

/// What the controller has said about a partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leadership {
    /// Of the latest change of leadership; an earlier one that comes late is ignored (trap 62).
    pub(super) epoch: Option<LeaderEpoch>,
    pub(super) ownership: Ownership,
}

impl Leadership {
    /// Takes note of a change of leadership; false if a later one came before it. A change without an epoch (an
    /// old controller's StopReplica) always counts.
    pub(super) fn advance_epoch(&mut self, epoch: Option<LeaderEpoch>) -> bool {
        if epoch.is_some() && epoch < self.epoch {
            return false;
        }
        self.epoch = epoch.or(self.epoch);
        true
    }
}
