//! The verifications of transactions with their coordinator, which come before the first batch is appended (KIP-890).
//! Kafka 3.9: `VerificationGuard`, `VerificationStateEntry`.
//!
//! Before a batch begins a transaction in a log, the coordinator must confirm that the partition is part of that
//! transaction. Otherwise a batch that arrives after the marker would open a transaction that never ends. Between the
//! request to the coordinator and the append, the marker may be written and another transaction may begin. The
//! confirmation therefore holds only for the guard that was made with the request, and any transactional batch or
//! marker of the producer makes the guard void.

use std::collections::HashMap;
use std::sync::Arc;

use crate::common::ids::ProducerId;

/// Identifies one verification; equal only to its own copies.
#[derive(Clone, Debug, Default)]
pub struct VerificationGuard(Arc<()>);

impl PartialEq for VerificationGuard {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for VerificationGuard {}

/// The leader's requirement for a batch that begins a transaction in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: `transaction.partition.verification.enable` is false.
    Off,
    /// The guard of a verification that is still valid. `None` for a batch that was not verified.
    Required(Option<VerificationGuard>),
}

/// The pending verifications of one log, at most one for each producer.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifications(HashMap<ProducerId, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    guard: VerificationGuard,
    /// Start of the verification, milliseconds since 1970.
    started_ms: i64,
    epoch: i16,
    /// Lowest sequence number of the batches that asked; no batch with a higher number may come before it.
    lowest_sequence: i32,
}

impl Verifications {
    /// The guard of the producer's verification; begins one if there is none. Keeps the lowest sequence number so far:
    /// if a later batch were appended while the first one is retried, the first could never follow.
    pub(super) fn begin(
        &mut self,
        producer_id: ProducerId,
        epoch: i16,
        sequence: i32,
        now_ms: i64,
    ) -> VerificationGuard {
        let entry = self.0.entry(producer_id).or_insert_with(|| Entry {
            guard: VerificationGuard::default(),
            started_ms: now_ms,
            epoch,
            lowest_sequence: sequence,
        });
        if epoch > entry.epoch {
            (entry.epoch, entry.lowest_sequence) = (epoch, sequence);
        } else if epoch == entry.epoch {
            entry.lowest_sequence = entry.lowest_sequence.min(sequence);
        }
        entry.guard.clone()
    }

    /// Whether a batch that begins a transaction may be appended.
    pub(super) fn admits(&self, producer_id: ProducerId, verification: &Verification) -> bool {
        match verification {
            Verification::Off => true,
            Verification::Required(None) => false,
            Verification::Required(Some(guard)) => self
                .0
                .get(&producer_id)
                .is_some_and(|entry| entry.guard == *guard),
        }
    }

    /// See [`Self::begin`].
    pub(super) fn lowest_sequence(&self, producer_id: ProducerId) -> Option<i32> {
        self.0.get(&producer_id).map(|entry| entry.lowest_sequence)
    }

    /// Ends the verification: the producer's transaction has begun or ended in the log.
    pub(super) fn end(&mut self, producer_id: ProducerId) {
        self.0.remove(&producer_id);
    }

    /// Drops expired verifications.
    pub(super) fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.0
            .retain(|_, entry| now_ms.saturating_sub(entry.started_ms) < expiration_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_admits_while_its_verification_lasts() {
        let mut verifications = Verifications::default();
        let guard = verifications.begin(7, 0, 3, 0);
        let with = |guard: &VerificationGuard| Verification::Required(Some(guard.clone()));
        assert!(verifications.admits(7, &with(&guard)));
        assert!(verifications.admits(8, &Verification::Off));
        assert!(!verifications.admits(7, &Verification::Required(None)));
        assert!(!verifications.admits(8, &with(&guard)));
        assert_eq!(
            verifications.begin(7, 0, 3, 0),
            guard,
            "a retry shares the verification"
        );
        verifications.end(7);
        assert!(!verifications.admits(7, &with(&guard)));
        let later = verifications.begin(7, 0, 0, 0);
        assert!(later != guard && !verifications.admits(7, &with(&guard)));
        verifications.remove_expired(9, 10);
        assert!(verifications.admits(7, &with(&later)));
        verifications.remove_expired(10, 10);
        assert!(!verifications.admits(7, &with(&later)));
    }

    #[test]
    fn the_lowest_sequence_of_the_latest_epoch_counts() {
        let mut verifications = Verifications::default();
        let cases = [(0, 5, 5), (0, 7, 5), (0, 2, 2), (1, 9, 9), (0, 1, 9), (1, 8, 8)];
        for (epoch, sequence, lowest) in cases {
            verifications.begin(7, epoch, sequence, 0);
            assert_eq!(
                verifications.lowest_sequence(7),
                Some(lowest),
                "{epoch} {sequence}"
            );
        }
    }
}
