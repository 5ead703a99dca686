//! The states of a classic group and the valid transitions between them. Kafka 3.9: `GroupState`.
//!
//! The code that changes a group's state is in `join`, `sync` and `liveness`. Every change is checked with
//! [`GroupState::may_become`].

/// The state of a classic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// The group has no members but may have offsets. It accepts new members and commits of simple consumers.
    Empty,
    /// Members join or rejoin. A timer ends the wait.
    PreparingRebalance,
    /// Every member has joined and the group waits for the leader's assignment. A timer ends the wait.
    CompletingRebalance,
    /// Members have their assignments and send heartbeats.
    Stable,
    /// The group was deleted, has expired or moved to another coordinator. This state is final.
    Dead,
}

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Empty,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
    ];

    /// The states from which this one may be entered (kafka-3.9.md §8).
    pub const fn valid_previous_states(self) -> &'static [Self] {
        match self {
            Self::Empty => &[Self::PreparingRebalance],
            Self::PreparingRebalance => &[Self::Stable, Self::CompletingRebalance, Self::Empty],
            Self::CompletingRebalance => &[Self::PreparingRebalance],
            Self::Stable => &[Self::CompletingRebalance],
            Self::Dead => &Self::ALL,
        }
    }

    /// Whether a group in this state may change to `next`.
    pub fn may_become(self, next: Self) -> bool {
        next.valid_previous_states().contains(&self)
    }

    /// The name in DescribeGroups, ListGroups and Kafka's metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::GroupState::{self, *};

    #[test]
    fn transitions_are_those_of_kafka() {
        let legal = [
            (Empty, PreparingRebalance),
            (Empty, Dead),
            (PreparingRebalance, Empty),
            (PreparingRebalance, CompletingRebalance),
            (PreparingRebalance, Dead),
            (CompletingRebalance, PreparingRebalance),
            (CompletingRebalance, Stable),
            (CompletingRebalance, Dead),
            (Stable, PreparingRebalance),
            (Stable, Dead),
            (Dead, Dead),
        ];
        for from in GroupState::ALL {
            for to in GroupState::ALL {
                assert_eq!(
                    from.may_become(to),
                    legal.contains(&(from, to)),
                    "{from:?} to {to:?}"
                );
            }
        }
    }
}
