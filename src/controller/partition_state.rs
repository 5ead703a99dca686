//! The states of a partition and which state may follow which. Kafka 3.9: `PartitionState`.

/// The state of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartitionState {
    /// The partition is not created yet, or deleted.
    #[default]
    NonExistent,
    /// The partition has replicas, but no leader and no state znode yet.
    New,
    /// A leader is elected.
    Online,
    /// The leader has died, or the deletion of the partition has begun.
    Offline,
}

impl PartitionState {
    /// Every state.
    #[cfg(test)]
    pub const ALL: [Self; 4] = [Self::NonExistent, Self::New, Self::Online, Self::Offline];

    /// The states from which a partition may enter this one.
    pub const fn valid_previous_states(self) -> &'static [Self] {
        match self {
            Self::NonExistent => &[Self::Offline],
            Self::New => &[Self::NonExistent],
            Self::Online | Self::Offline => &[Self::New, Self::Online, Self::Offline],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PartitionState::{self, New, NonExistent, Offline, Online};

    #[test]
    fn every_transition_is_legal_or_illegal_as_in_kafka() {
        const LEGAL: [(PartitionState, PartitionState); 8] = [
            (NonExistent, New),
            (New, Online),
            (Online, Online),
            (Offline, Online),
            (New, Offline),
            (Online, Offline),
            (Offline, Offline),
            (Offline, NonExistent),
        ];
        for from in PartitionState::ALL {
            for to in PartitionState::ALL {
                let legal = to.valid_previous_states().contains(&from);
                assert_eq!(legal, LEGAL.contains(&(from, to)), "{from:?} -> {to:?}");
            }
        }
    }
}
