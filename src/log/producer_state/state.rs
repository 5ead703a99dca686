//! The producers of a log, its open transactions, and those that ended but whose marker is not replicated yet.
//! Kafka 3.9: `ProducerStateManager`, `ProducerAppendInfo`. Touches no files; see the module's documentation.

use std::collections::{BTreeMap, HashMap};

use super::entry::{BatchMetadata, NO_COORDINATOR_EPOCH, ProducerStateEntry};
use super::snapshot::{self, CorruptSnapshot};
use super::verification::{Verification, VerificationGuard, Verifications};
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, ProducerId};
use crate::record::batch::NO_PRODUCER_EPOCH;
use crate::record::sequence::increment_sequence;
use crate::record::{AppendOrigin, BatchHeader, ControlRecordType, EndTransactionMarker, RecordError};

/// The fields of a batch that the producer state needs, with the batch's offsets in the log.
#[derive(Clone, Copy, Debug)]
pub struct ProducerBatch {
    header: BatchHeader,
    /// The marker in a control batch and its timestamp.
    marker: Option<(EndTransactionMarker, i64)>,
}

impl ProducerBatch {
    /// Reads the payload only if the batch is a control batch.
    pub fn read(header: &BatchHeader, payload: &[u8]) -> Result<Self, RecordError> {
        let marker = match header.has_producer_id() {
            true => EndTransactionMarker::read(header, payload)?,
            false => None,
        };
        Ok(Self {
            header: *header,
            marker,
        })
    }
}

/// The leader's decision about a valid batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendDecision {
    /// Append it.
    New,
    /// The log already has it as this batch: answer with its offsets, append nothing.
    Duplicate(BatchMetadata),
}

/// Why a leader does not append a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerStateError {
    /// The batch comes from a zombie: its epoch is too old.
    #[error("epoch {epoch} of producer {producer_id} is less than its last one, {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: ProducerId,
        /// In the batch.
        epoch: i16,
        /// The last one seen.
        current: i16,
    },
    /// A batch before this one is missing.
    #[error("sequence {sequence} of producer {producer_id} in epoch {epoch} after {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: ProducerId,
        /// In the batch.
        epoch: i16,
        /// In the batch.
        sequence: i32,
        /// The last one seen; -1 for none in this epoch.
        last: i32,
    },
    /// The batch is outside a transaction while one is open.
    #[error("producer {producer_id} has a transaction open since offset {first_offset}")]
    InvalidTxnState {
        /// The producer.
        producer_id: ProducerId,
        /// Where that transaction began.
        first_offset: Offset,
    },
    /// The batch belongs to a transaction that the log does not know and that its coordinator has not confirmed.
    #[error("producer {0} has no transaction open here, and none was verified")]
    UnverifiedTransaction(ProducerId),
    /// The marker comes from a zombie coordinator.
    #[error("coordinator epoch {epoch} for producer {producer_id} is less than the last one, {current}")]
    TransactionCoordinatorFenced {
        /// The producer.
        producer_id: ProducerId,
        /// In the marker.
        epoch: i32,
        /// The last one seen.
        current: i32,
    },
}

impl ProducerStateError {
    /// Kafka's code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            Self::InvalidTxnState { .. } | Self::UnverifiedTransaction(_) => ErrorCode::InvalidTxnState,
            Self::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        }
    }
}

/// A transaction that a marker has ended. The transaction index stores these fields if it was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompletedTxn {
    /// The producer.
    pub producer_id: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
    /// Offset of the marker.
    pub last_offset: Offset,
    /// Whether it was aborted.
    pub is_aborted: bool,
    /// Where the next open transaction begins, or the offset after the marker.
    pub last_stable_offset: Offset,
}

/// The producers of one log.
#[derive(Clone, Debug, Default)]
pub struct ProducerStateManager {
    producers: HashMap<ProducerId, ProducerStateEntry>,
    /// Open transactions: from first offset to producer.
    ongoing_txns: BTreeMap<Offset, ProducerId>,
    /// Ended transactions whose marker is not below the high watermark yet: from first offset to the marker's.
    unreplicated_txns: BTreeMap<Offset, Offset>,
    map_end_offset: Offset,
    last_snapshot_offset: Offset,
    verifications: Verifications,
}

impl ProducerStateManager {
    /// The state of a log that begins at `log_start_offset` and has no producers yet.
    pub fn new(log_start_offset: Offset) -> Self {
        Self {
            map_end_offset: log_start_offset,
            last_snapshot_offset: log_start_offset,
            ..Self::default()
        }
    }

    /// Checks whether a leader may append the batch. Changes nothing; [`Self::update`] does.
    pub fn validate_append(
        &self,
        batch: &ProducerBatch,
        origin: AppendOrigin,
        verification: &Verification,
    ) -> Result<AppendDecision, ProducerStateError> {
        let header = &batch.header;
        if !header.has_producer_id() || origin == AppendOrigin::Replication {
            return Ok(AppendDecision::New);
        }
        let entry = self.producers.get(&header.producer_id());
        if origin == AppendOrigin::Client
            && let Some(duplicate) = entry.and_then(|entry| entry.find_duplicate(header))
        {
            return Ok(AppendDecision::Duplicate(duplicate));
        }
        if header.is_transactional()
            && !header.is_control_batch()
            && entry.is_none_or(|entry| entry.current_txn_first_offset.is_none())
            && !self.verifications.admits(header.producer_id(), verification)
        {
            return Err(ProducerStateError::UnverifiedTransaction(header.producer_id()));
        }
        check_producer_epoch(entry, header)?;
        if header.is_control_batch() {
            entry.map_or(Ok(()), |entry| check_coordinator_epoch(entry, batch))?;
            return Ok(AppendDecision::New);
        }
        if origin == AppendOrigin::Client {
            self.check_verified_sequence(header)?;
            entry.map_or(Ok(()), |entry| check_sequence(entry, header))?;
        }
        match entry.and_then(|entry| entry.current_txn_first_offset) {
            Some(first_offset) if !header.is_transactional() => Err(ProducerStateError::InvalidTxnState {
                producer_id: header.producer_id(),
                first_offset,
            }),
            _ => Ok(AppendDecision::New),
        }
    }

    /// Records a batch that was written. The caller passes batches without a producer id too, because the state covers
    /// the log up to the last batch. Returns the transaction that the batch has ended.
    pub fn update(&mut self, batch: &ProducerBatch) -> Option<CompletedTxn> {
        let header = &batch.header;
        self.map_end_offset = header.next_offset();
        if !header.has_producer_id() {
            return None;
        }
        if header.is_transactional() {
            self.verifications.end(header.producer_id());
        }
        if header.is_control_batch() {
            let (marker, timestamp) = batch.marker?;
            return self.end_txn(header, marker, timestamp);
        }
        let entry = self
            .producers
            .entry(header.producer_id())
            .or_insert_with(ProducerStateEntry::empty);
        entry.add_batch(header);
        if header.is_transactional() && entry.current_txn_first_offset.is_none() {
            entry.current_txn_first_offset = Some(header.base_offset());
            self.ongoing_txns
                .insert(header.base_offset(), header.producer_id());
        }
        None
    }

    fn end_txn(
        &mut self,
        header: &BatchHeader,
        marker: EndTransactionMarker,
        timestamp: i64,
    ) -> Option<CompletedTxn> {
        let producer_id = header.producer_id();
        let entry = self
            .producers
            .entry(producer_id)
            .or_insert_with(ProducerStateEntry::empty);
        entry.update_epoch(header.producer_epoch());
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = timestamp;
        // A marker without data (the producer wrote only to other partitions) ends nothing.
        let first_offset = entry.current_txn_first_offset.take()?;
        self.ongoing_txns.remove(&first_offset);
        let last_offset = header.base_offset();
        self.unreplicated_txns.insert(first_offset, last_offset);
        Some(CompletedTxn {
            producer_id,
            first_offset,
            last_offset,
            is_aborted: marker.control_type == ControlRecordType::Abort,
            last_stable_offset: self.first_undecided_offset().unwrap_or(header.next_offset()),
        })
    }

    /// The start of the first transaction that is open, or whose marker could still be lost with this leader. May be
    /// before the log start offset, if records were deleted during an open transaction.
    pub fn first_unstable_offset(&self) -> Option<Offset> {
        let unreplicated = self.unreplicated_txns.keys().next().copied();
        self.first_undecided_offset()
            .into_iter()
            .chain(unreplicated)
            .min()
    }

    /// The start of the first open transaction, which the cleaner must not pass (fact 57).
    pub fn first_undecided_offset(&self) -> Option<Offset> {
        self.ongoing_txns.keys().next().copied()
    }

    /// Drops the ended transactions whose marker is replicated to all in-sync replicas.
    pub fn on_high_watermark_updated(&mut self, high_watermark: Offset) {
        self.unreplicated_txns
            .retain(|_, marker_offset| *marker_offset >= high_watermark);
    }

    /// Follows the log's start. Producers stay known although their batches were removed.
    pub fn on_log_start_offset_incremented(&mut self, log_start_offset: Offset) {
        self.unreplicated_txns
            .retain(|_, marker_offset| *marker_offset >= log_start_offset);
        self.map_end_offset = self.map_end_offset.max(log_start_offset);
        self.last_snapshot_offset = self.last_snapshot_offset.max(log_start_offset);
    }

    /// Begins or continues the verification of a transaction with its coordinator; `None` if the transaction is open
    /// here already and needs no verification.
    pub fn begin_verification(
        &mut self,
        producer_id: ProducerId,
        epoch: i16,
        sequence: i32,
        now_ms: i64,
    ) -> Option<VerificationGuard> {
        let entry = self.producers.get(&producer_id);
        if entry.is_some_and(|entry| entry.current_txn_first_offset.is_some()) {
            return None;
        }
        Some(self.verifications.begin(producer_id, epoch, sequence, now_ms))
    }

    /// While a transaction is verified, no batch may overtake the first batch that asked.
    fn check_verified_sequence(&self, header: &BatchHeader) -> Result<(), ProducerStateError> {
        match self.verifications.lowest_sequence(header.producer_id()) {
            Some(lowest) if header.base_sequence() > lowest => Err(ProducerStateError::OutOfOrderSequence {
                producer_id: header.producer_id(),
                epoch: header.producer_epoch(),
                sequence: header.base_sequence(),
                last: lowest,
            }),
            _ => Ok(()),
        }
    }

    /// Drops producers that have not written for `expiration_ms` (`producer.id.expiration.ms`) and have no open
    /// transaction.
    pub fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.verifications.remove_expired(now_ms, expiration_ms);
        self.producers
            .retain(|_, entry| !entry.is_expired(now_ms, expiration_ms));
    }

    /// Drops all state, as for a log without snapshots whose next offset is `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) {
        *self = Self {
            map_end_offset: offset,
            verifications: std::mem::take(&mut self.verifications),
            ..Self::default()
        };
    }

    /// Loads the producers of the snapshot at `offset`, except those that have expired in the meantime. The state must
    /// be empty, and stays empty if the snapshot is corrupt.
    pub fn load_snapshot(
        &mut self,
        offset: Offset,
        bytes: &[u8],
        now_ms: i64,
        expiration_ms: i64,
    ) -> Result<(), CorruptSnapshot> {
        assert!(self.is_empty(), "a snapshot is loaded into an empty state");
        for (producer_id, entry) in snapshot::decode(bytes)? {
            if entry.is_expired(now_ms, expiration_ms) {
                continue;
            }
            if let Some(first_offset) = entry.current_txn_first_offset {
                self.ongoing_txns.insert(first_offset, producer_id);
            }
            self.producers.insert(producer_id, entry);
        }
        self.map_end_offset = offset;
        self.last_snapshot_offset = offset;
        Ok(())
    }

    /// The bytes of a snapshot and the offset for its name; `None` if there is one at this offset already.
    pub fn take_snapshot(&mut self) -> Option<(Offset, Vec<u8>)> {
        if self.map_end_offset <= self.last_snapshot_offset {
            return None;
        }
        self.last_snapshot_offset = self.map_end_offset;
        let producers = self
            .producers
            .iter()
            .map(|(producer_id, entry)| (*producer_id, entry));
        Some((self.map_end_offset, snapshot::encode(producers)))
    }

    /// The state covers the log's batches up to this offset, exclusively.
    pub fn map_end_offset(&self) -> Offset {
        self.map_end_offset
    }

    /// Starts without a snapshot; at the start of the log none is needed.
    pub fn begin_without_snapshot(&mut self, log_start_offset: Offset) {
        self.last_snapshot_offset = log_start_offset;
    }

    /// Declares that no more batches follow up to `offset`: a replay has ended, or skips the part before the log start
    /// offset.
    pub fn advance_map_end_offset(&mut self, offset: Offset) {
        self.map_end_offset = offset;
    }

    /// How many producers are known.
    pub fn producer_id_count(&self) -> usize {
        self.producers.len()
    }

    /// Timestamp of the last record of the producer with the oldest open transaction, by offset.
    pub fn oldest_transaction_last_timestamp(&self) -> Option<i64> {
        let oldest = self.ongoing_txns.values().next()?;
        self.producers.get(oldest).map(|entry| entry.last_timestamp)
    }

    /// Whether it knows no producer and no transaction.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.ongoing_txns.is_empty() && self.unreplicated_txns.is_empty()
    }

    /// The state of a producer.
    #[cfg(test)]
    pub fn last_entry(&self, producer_id: ProducerId) -> Option<&ProducerStateEntry> {
        self.producers.get(&producer_id)
    }

    /// Every producer, in no particular order (DescribeProducers, the cleaner).
    pub fn active_producers(&self) -> impl Iterator<Item = (ProducerId, &ProducerStateEntry)> {
        self.producers
            .iter()
            .map(|(producer_id, entry)| (*producer_id, entry))
    }
}

fn check_producer_epoch(
    entry: Option<&ProducerStateEntry>,
    batch: &BatchHeader,
) -> Result<(), ProducerStateError> {
    let current = entry.map_or(NO_PRODUCER_EPOCH, |entry| entry.producer_epoch);
    if batch.producer_epoch() >= current {
        return Ok(());
    }
    Err(ProducerStateError::InvalidProducerEpoch {
        producer_id: batch.producer_id(),
        epoch: batch.producer_epoch(),
        current,
    })
}

fn check_coordinator_epoch(
    entry: &ProducerStateEntry,
    batch: &ProducerBatch,
) -> Result<(), ProducerStateError> {
    let epoch = batch
        .marker
        .map_or(NO_COORDINATOR_EPOCH, |(marker, _)| marker.coordinator_epoch);
    if epoch >= entry.coordinator_epoch {
        return Ok(());
    }
    Err(ProducerStateError::TransactionCoordinatorFenced {
        producer_id: batch.header.producer_id(),
        epoch,
        current: entry.coordinator_epoch,
    })
}

/// In the same epoch the next sequence number must follow, in a new epoch 0. An unknown producer, whose records
/// retention has deleted, may go on with any number.
fn check_sequence(entry: &ProducerStateEntry, batch: &BatchHeader) -> Result<(), ProducerStateError> {
    if entry.producer_epoch == NO_PRODUCER_EPOCH {
        return Ok(());
    }
    let last = match batch.producer_epoch() == entry.producer_epoch {
        true => entry.last_sequence(),
        false => -1,
    };
    if batch.base_sequence() == increment_sequence(last, 1) {
        return Ok(());
    }
    Err(ProducerStateError::OutOfOrderSequence {
        producer_id: batch.producer_id(),
        epoch: batch.producer_epoch(),
        sequence: batch.base_sequence(),
        last,
    })
}

#[cfg(test)]
mod tests;
