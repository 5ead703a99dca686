//! The states of a replica and which state may follow which. Kafka 3.9: `ReplicaState`.

/// The state of a replica. The numbers are Kafka's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ReplicaState {
    /// The replica has just been assigned; it can become a follower only.
    New = 1,
    /// The replica is in service.
    Online = 2,
    /// The broker of the replica is down, or has been told to stop the replica.
    Offline = 3,
    /// The broker has been told to delete the replica.
    DeletionStarted = 4,
    /// The broker has deleted the replica.
    DeletionSuccessful = 5,
    /// The replica cannot be deleted at present.
    DeletionIneligible = 6,
    /// The replica is not assigned yet, or deleted and removed from the assignment.
    #[default]
    NonExistent = 7,
}

impl ReplicaState {
    /// Every state.
    #[cfg(test)]
    pub const ALL: [Self; 7] = [
        Self::New,
        Self::Online,
        Self::Offline,
        Self::DeletionStarted,
        Self::DeletionSuccessful,
        Self::DeletionIneligible,
        Self::NonExistent,
    ];

    /// The states from which a replica may enter this one.
    pub const fn valid_previous_states(self) -> &'static [Self] {
        match self {
            Self::New => &[Self::NonExistent],
            Self::Online | Self::Offline => {
                &[Self::New, Self::Online, Self::Offline, Self::DeletionIneligible]
            }
            Self::DeletionStarted => &[Self::Offline],
            Self::DeletionSuccessful => &[Self::DeletionStarted],
            Self::DeletionIneligible => &[Self::Offline, Self::DeletionStarted],
            Self::NonExistent => &[Self::DeletionSuccessful],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReplicaState::{
        self, DeletionIneligible, DeletionStarted, DeletionSuccessful, New, NonExistent, Offline, Online,
    };

    #[test]
    fn every_transition_is_legal_or_illegal_as_in_kafka() {
        const LEGAL: [(ReplicaState, ReplicaState); 14] = [
            (NonExistent, New),
            (New, Online),
            (Online, Online),
            (Offline, Online),
            (DeletionIneligible, Online),
            (New, Offline),
            (Online, Offline),
            (Offline, Offline),
            (DeletionIneligible, Offline),
            (Offline, DeletionStarted),
            (DeletionStarted, DeletionSuccessful),
            (Offline, DeletionIneligible),
            (DeletionStarted, DeletionIneligible),
            (DeletionSuccessful, NonExistent),
        ];
        for from in ReplicaState::ALL {
            for to in ReplicaState::ALL {
                let legal = to.valid_previous_states().contains(&from);
                assert_eq!(legal, LEGAL.contains(&(from, to)), "{from:?} -> {to:?}");
            }
        }
    }
}
