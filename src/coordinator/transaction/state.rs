//! The states of a transaction and the valid transitions between them. Kafka 3.9: `TransactionState`.
//!
//! ```text
//!            add partitions          end                  all markers written
//! Empty ───────────────────▶ Ongoing ──▶ PrepareCommit ──────────────────────▶ CompleteCommit
//!                              │  └─────▶ PrepareAbort ──────────────────────▶ CompleteAbort
//!                              └─▶ PrepareEpochFence ─▲   (a newer producer, or the time is up)
//! ```
//! From a complete state the next transaction begins (Ongoing) or the next producer starts (Empty).

use TransactionState::*;

/// The state of a transactional id's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionState {
    /// The producer has its id and epoch, and has not begun a transaction yet.
    Empty,
    /// Partitions have been added.
    Ongoing,
    /// The decision to commit is final. The markers are being written.
    PrepareCommit,
    /// The decision to abort is final. The markers are being written.
    PrepareAbort,
    /// All markers are written.
    CompleteCommit,
    /// All markers are written.
    CompleteAbort,
    /// The id has expired. This state is never in the log: a tombstone is written instead.
    Dead,
    /// The producer's epoch is being bumped before the abort. This state is never in the log.
    PrepareEpochFence,
}

impl TransactionState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Empty,
        Ongoing,
        PrepareCommit,
        PrepareAbort,
        CompleteCommit,
        CompleteAbort,
        Dead,
        PrepareEpochFence,
    ];

    /// The states from which this one may be entered (kafka-3.9.md §8).
    pub const fn valid_previous_states(self) -> &'static [Self] {
        match self {
            Empty => &[Empty, CompleteCommit, CompleteAbort],
            Ongoing => &[Ongoing, Empty, CompleteCommit, CompleteAbort],
            PrepareCommit => &[Ongoing],
            PrepareAbort => &[Ongoing, PrepareEpochFence],
            CompleteCommit => &[PrepareCommit],
            CompleteAbort => &[PrepareAbort],
            Dead => &[Empty, CompleteAbort, CompleteCommit],
            PrepareEpochFence => &[Ongoing],
        }
    }

    /// Whether a transaction in this state may change to `next`.
    pub fn may_become(self, next: Self) -> bool {
        next.valid_previous_states().contains(&self)
    }

    /// The number in the log.
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// The state with this number.
    pub fn from_id(id: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    /// The name in DescribeTransactions and ListTransactions.
    pub const fn name(self) -> &'static str {
        match self {
            Empty => "Empty",
            Ongoing => "Ongoing",
            PrepareCommit => "PrepareCommit",
            PrepareAbort => "PrepareAbort",
            CompleteCommit => "CompleteCommit",
            CompleteAbort => "CompleteAbort",
            Dead => "Dead",
            PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a transactional id may expire in this state: no transaction is open or being ended.
    pub const fn is_expiration_allowed(self) -> bool {
        matches!(self, Empty | CompleteCommit | CompleteAbort)
    }

    /// The state that follows when all markers are written.
    pub const fn completed(self) -> Option<Self> {
        match self {
            PrepareCommit => Some(CompleteCommit),
            PrepareAbort => Some(CompleteAbort),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_those_of_kafka() {
        let legal = [
            (Empty, Empty),
            (Empty, Ongoing),
            (Empty, Dead),
            (Ongoing, Ongoing),
            (Ongoing, PrepareCommit),
            (Ongoing, PrepareAbort),
            (Ongoing, PrepareEpochFence),
            (PrepareEpochFence, PrepareAbort),
            (PrepareCommit, CompleteCommit),
            (PrepareAbort, CompleteAbort),
            (CompleteCommit, Empty),
            (CompleteCommit, Ongoing),
            (CompleteCommit, Dead),
            (CompleteAbort, Empty),
            (CompleteAbort, Ongoing),
            (CompleteAbort, Dead),
        ];
        for from in TransactionState::ALL {
            for to in TransactionState::ALL {
                let expected = legal.contains(&(from, to));
                assert_eq!(from.may_become(to), expected, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn numbers_and_names_are_those_of_kafka() {
        for (id, state) in (0..).zip(TransactionState::ALL) {
            assert_eq!(TransactionState::from_id(id), Some(state));
            assert_eq!(TransactionState::from_name(&format!("{state:?}")), Some(state));
        }
        assert_eq!(TransactionState::from_id(8), None);
        assert_eq!(TransactionState::from_id(-1), None);
        assert_eq!(TransactionState::from_name("empty"), None);
    }
}
