//! The state of one producer. Kafka 3.9: `ProducerStateEntry`, `BatchMetadata`.

use std::collections::VecDeque;

use crate::common::ids::Offset;
use crate::record::BatchHeader;
use crate::record::batch::{NO_PRODUCER_EPOCH, NO_SEQUENCE, NO_TIMESTAMP};
use crate::record::sequence::decrement_sequence;

/// How many of a producer's last batches the log remembers in order to recognise duplicates: the most that a producer
/// may have in flight.
pub const BATCHES_TO_RETAIN: usize = 5;
/// No coordinator has written a marker yet.
pub const NO_COORDINATOR_EPOCH: i32 = -1;

/// One batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence number of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Offset of its last record minus that of its first.
    pub offset_delta: i32,
    /// Its largest timestamp; the append time if the log uses that.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// Sequence number of its first record.
    pub fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    /// Offset of its first record.
    pub fn first_offset(&self) -> Offset {
        self.last_offset.saturating_sub(i64::from(self.offset_delta))
    }
}

/// One producer: its epoch, its last batches of that epoch, its open transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerStateEntry {
    pub(super) producer_epoch: i16,
    pub(super) coordinator_epoch: i32,
    pub(super) last_timestamp: i64,
    pub(super) current_txn_first_offset: Option<Offset>,
    /// Its last batches, oldest first, at most [`BATCHES_TO_RETAIN`].
    pub(super) batches: VecDeque<BatchMetadata>,
}

impl ProducerStateEntry {
    /// A producer that has not written yet.
    pub(super) fn empty() -> Self {
        Self {
            producer_epoch: NO_PRODUCER_EPOCH,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            last_timestamp: NO_TIMESTAMP,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    /// The epoch of the last write by it or its coordinator.
    pub fn producer_epoch(&self) -> i16 {
        self.producer_epoch
    }

    /// The epoch of the coordinator that wrote the last marker, or -1.
    pub fn coordinator_epoch(&self) -> i32 {
        self.coordinator_epoch
    }

    /// Timestamp of its last batch or marker.
    pub fn last_timestamp(&self) -> i64 {
        self.last_timestamp
    }

    /// First offset of its open transaction.
    pub fn current_txn_first_offset(&self) -> Option<Offset> {
        self.current_txn_first_offset
    }

    /// Sequence number of the last record it wrote in this epoch, or [`NO_SEQUENCE`].
    pub fn last_sequence(&self) -> i32 {
        self.batches
            .back()
            .map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    /// Its last batch in this epoch.
    pub fn last_batch(&self) -> Option<&BatchMetadata> {
        self.batches.back()
    }

    /// The remembered batch with the same epoch and sequence numbers.
    pub(super) fn find_duplicate(&self, batch: &BatchHeader) -> Option<BatchMetadata> {
        if batch.producer_epoch() != self.producer_epoch {
            return None;
        }
        let sequences = (batch.base_sequence(), batch.last_sequence());
        self.batches
            .iter()
            .find(|known| (known.first_sequence(), known.last_sequence) == sequences)
            .copied()
    }

    /// Sets the epoch. A batch of another epoch, even of an older one that a leader accepted, makes the remembered
    /// batches invalid.
    pub(super) fn update_epoch(&mut self, producer_epoch: i16) {
        if self.producer_epoch != producer_epoch {
            self.batches.clear();
            self.producer_epoch = producer_epoch;
        }
    }

    pub(super) fn add_batch(&mut self, batch: &BatchHeader) {
        self.update_epoch(batch.producer_epoch());
        if self.batches.len() == BATCHES_TO_RETAIN {
            self.batches.pop_front();
        }
        self.batches.push_back(BatchMetadata {
            last_sequence: batch.last_sequence(),
            last_offset: batch.last_offset(),
            offset_delta: batch.last_offset_delta(),
            timestamp: batch.max_timestamp(),
        });
        self.last_timestamp = batch.max_timestamp();
    }

    /// Whether it was idle for `expiration_ms` and has no open transaction.
    pub(super) fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.current_txn_first_offset.is_none() && now_ms.saturating_sub(self.last_timestamp) >= expiration_ms
    }
}
