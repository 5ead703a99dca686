//! Which transactions are being verified with their coordinator before their first batch may be appended (KIP-890).
//! Kafka 3.9: `VerificationGuard`, `VerificationStateEntry`.
//!
//! A transactional batch that begins a transaction in a log needs the coordinator's word that the partition is part of
//! that transaction: else a batch that comes after the marker would open a transaction that nobody ever ends. Between
//! the question and the append the marker may be written and another transaction begin, so the word holds only for the
//! guard that was made with the question; any transactional batch or marker of the producer makes it void.

use std::collections::HashMap;
use std::sync::Arc;

use crate::common::ids::ProducerId;

/// Names one verification; equal only to its own copies.
#[derive(Clone, Debug, Default)]
pub struct VerificationGuard(Arc<()>);

impl PartialEq for VerificationGuard {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for VerificationGuard {}

/// What a leader demands of a batch that begins a transaction in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: `transaction.partition.verification.enable` is false.
    Off,
    /// The guard of a verification that is still valid. `None` is what a batch has that went through none.
    Required(Option<VerificationGuard>),
}

/// The verifications under way in one log, at most one for each producer.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifications(HashMap<ProducerId, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    guard: VerificationGuard,
    /// When it began, milliseconds since 1970.
    started_ms: i64,
    epoch: i16,
    /// Of the batches that asked; none with a higher number may come before it.
    lowest_sequence: i32,
}

impl Verifications {
    /// The guard of the producer's verification; begins one if there is none. The lowest sequence number that came so
    /// far is kept: were a later batch let in while the first one is retried, the first could never follow.
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

    /// The producer's transaction has begun or ended in the log.
    pub(super) fn end(&mut self, producer_id: ProducerId) {
        self.0.remove(&producer_id);
    }

    /// Forgets those that have led to nothing.
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
