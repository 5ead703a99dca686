//! Owns one transactional id as a pure state machine: which events each state accepts, and what they write. Kafka 3.9:
//! `TransactionMetadata`, and the decisions of `TransactionCoordinator`.
//!
//! An accepted event returns a [`Transition`]. No other event is accepted until the transition is in the log on all
//! in-sync replicas and [`complete`](TransactionMetadata::complete) has applied it, or until the append has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::state::TransactionState::{self, *};
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicName, TopicPartition};
use crate::record::batch::{NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

/// The start of a transaction that has not begun.
pub const NO_TIMESTAMP: i64 = -1;

/// A producer id and an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdAndEpoch {
    /// The id.
    pub id: ProducerId,
    /// The epoch.
    pub epoch: i16,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "self-explanatory")]
pub enum TransactionResult {
    Commit,
    Abort,
}

/// The value of a transactional id's record in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of TransactionLogValue")]
pub struct TransactionValue {
    pub producer: ProducerIdAndEpoch,
    pub timeout_ms: i32,
    pub state: TransactionState,
    pub partitions: BTreeSet<TopicPartition>,
    /// Milliseconds since 1970.
    pub last_update_ms: i64,
    /// Milliseconds since 1970, or `NO_TIMESTAMP`.
    pub start_ms: i64,
}

impl TransactionValue {
    /// The numbers of the partitions by topic, in order.
    pub fn partitions_by_topic(&self) -> BTreeMap<&TopicName, Vec<i32>> {
        let mut topics: BTreeMap<&TopicName, Vec<i32>> = BTreeMap::new();
        for partition in &self.partitions {
            topics
                .entry(&partition.topic)
                .or_default()
                .push(partition.partition);
        }
        topics
    }
}

/// The new state of a transactional id, applied when it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new record.
    pub value: TransactionValue,
    /// The epoch before. The producer may still use it if it did not receive the new one.
    last_epoch: i16,
    /// True if the transition fences a producer and aborts its transaction.
    is_epoch_fence: bool,
}

/// One transactional id.
#[derive(Clone, Debug)]
pub struct TransactionMetadata {
    transactional_id: Arc<str>,
    value: TransactionValue,
    last_producer_id: ProducerId,
    last_producer_epoch: i16,
    /// The state that is being written to the log.
    pending: Option<TransactionState>,
    /// The epoch was bumped to fence a producer, but the write failed. The epoch need not be bumped again (fact 66).
    has_failed_epoch_fence: bool,
}

impl TransactionMetadata {
    /// Creates an unused id. Its first producer gets epoch 0.
    pub fn new(transactional_id: Arc<str>, producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Self {
        let producer = ProducerIdAndEpoch {
            id: producer_id,
            epoch: NO_PRODUCER_EPOCH,
        };
        Self::loaded(
            transactional_id,
            TransactionValue {
                producer,
                timeout_ms,
                state: Empty,
                partitions: BTreeSet::new(),
                last_update_ms: now_ms,
                start_ms: NO_TIMESTAMP,
            },
        )
    }

    /// Creates an id from its record in the log.
    pub fn loaded(transactional_id: Arc<str>, value: TransactionValue) -> Self {
        Self {
            transactional_id,
            value,
            last_producer_id: NO_PRODUCER_ID,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            pending: None,
            has_failed_epoch_fence: false,
        }
    }

    /// The `transactional.id`.
    pub fn transactional_id(&self) -> &Arc<str> {
        &self.transactional_id
    }

    /// The value in the log, without the partitions whose marker is already written.
    pub fn value(&self) -> &TransactionValue {
        &self.value
    }

    /// Whether a transition is being written to the log.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether the id is being expired. Such an id is treated as missing.
    pub fn is_dying(&self) -> bool {
        self.value.state == Dead
    }

    /// A producer starts and gets an epoch that fences all earlier producers. `expected` is the id and epoch that a
    /// restarting producer had. If a transaction is open, the transition aborts it and the producer must retry.
    pub fn init_producer_id(
        &mut self,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
        now_ms: i64,
        new_producer_id: impl FnOnce() -> Result<ProducerId, ErrorCode>,
    ) -> Result<Transition, ErrorCode> {
        if self.is_pending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if expected.is_some_and(|expected| !self.may_be(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        match self.value.state {
            PrepareAbort | PrepareCommit => return Err(ErrorCode::ConcurrentTransactions),
            Ongoing => return self.fence_and_abort(now_ms),
            Dead | PrepareEpochFence => return Err(ErrorCode::UnknownServerError),
            CompleteAbort | CompleteCommit | Empty => {}
        }
        let epoch = self.value.producer.epoch;
        let is_current = expected.is_none_or(|expected| expected.epoch == epoch);
        let (producer, last_epoch) = if is_epoch_exhausted(epoch) && is_current {
            let last_epoch = expected.map_or(NO_PRODUCER_EPOCH, |_| epoch);
            let id = new_producer_id()?;
            (ProducerIdAndEpoch { id, epoch: 0 }, last_epoch)
        } else {
            self.bumped_epoch(expected)?
        };
        let value = TransactionValue {
            producer,
            timeout_ms,
            state: Empty,
            partitions: BTreeSet::new(),
            last_update_ms: now_ms,
            start_ms: NO_TIMESTAMP,
        };
        Ok(self.prepare(value, last_epoch))
    }

    /// Whether a producer with this id and epoch can be the current one. It can in three cases: it has the current id;
    /// the metadata is new because the old was lost; its epochs were used up and it did not receive its new id.
    fn may_be(&self, expected: ProducerIdAndEpoch) -> bool {
        self.value.producer.epoch == NO_PRODUCER_EPOCH
            || expected.id == self.value.producer.id
            || (expected.id == self.last_producer_id && is_epoch_exhausted(expected.epoch))
    }

    /// The next epoch and the epoch before. A producer that retries because it did not receive the answer gets the
    /// same.
    fn bumped_epoch(
        &self,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<(ProducerIdAndEpoch, i16), ErrorCode> {
        let current = self.value.producer;
        let bumped = ProducerIdAndEpoch {
            epoch: current.epoch.saturating_add(1),
            ..current
        };
        match expected {
            None => Ok((bumped, NO_PRODUCER_EPOCH)),
            Some(expected) if current.epoch == NO_PRODUCER_EPOCH || expected.epoch == current.epoch => {
                Ok((bumped, current.epoch))
            }
            Some(expected) if expected.epoch == self.last_producer_epoch => {
                Ok((current, self.last_producer_epoch))
            }
            Some(_) => Err(ErrorCode::ProducerFenced),
        }
    }

    /// Handles AddPartitionsToTxn and AddOffsetsToTxn. `None` if the transaction has all the partitions already.
    pub fn add_partitions(
        &mut self,
        producer: ProducerIdAndEpoch,
        partitions: BTreeSet<TopicPartition>,
        now_ms: i64,
    ) -> Result<Option<Transition>, ErrorCode> {
        self.check_producer(producer)?;
        if self.is_pending() || matches!(self.value.state, PrepareCommit | PrepareAbort) {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if self.value.state == Ongoing && partitions.is_subset(&self.value.partitions) {
            return Ok(None);
        }
        let start_ms = match self.value.state {
            Empty | CompleteAbort | CompleteCommit => now_ms,
            _ => self.value.start_ms,
        };
        let value = TransactionValue {
            state: Ongoing,
            partitions: &self.value.partitions | &partitions,
            last_update_ms: now_ms,
            start_ms,
            ..self.value.clone()
        };
        Ok(Some(self.prepare(value, self.last_producer_epoch)))
    }

    /// Whether these partitions are part of the open transaction (KIP-890). A transition in progress does not matter:
    /// the partition's leader checks again when it appends.
    pub fn verify_partitions(
        &self,
        producer: ProducerIdAndEpoch,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        self.check_producer(producer)?;
        if matches!(self.value.state, PrepareCommit | PrepareAbort) {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let verified = partitions.into_iter().map(|partition| {
            let code = match self.value.partitions.contains(&partition) {
                true => ErrorCode::None,
                false => ErrorCode::TransactionAbortable,
            };
            (partition, code)
        });
        Ok(verified.collect())
    }

    /// Handles EndTxn. `None` if the transaction has already ended this way.
    pub fn end(
        &mut self,
        producer: ProducerIdAndEpoch,
        result: TransactionResult,
        now_ms: i64,
    ) -> Result<Option<Transition>, ErrorCode> {
        // A client never bumps its epoch itself, so the epochs must be equal (fact 66).
        self.check_producer(producer)?;
        if self.is_pending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        use TransactionResult::{Abort, Commit};
        match (self.value.state, result) {
            (Ongoing, _) => Ok(Some(self.prepare_end(result, now_ms))),
            (CompleteCommit, Commit) | (CompleteAbort, Abort) => Ok(None),
            (PrepareCommit, Commit) | (PrepareAbort, Abort) => Err(ErrorCode::ConcurrentTransactions),
            (Dead | PrepareEpochFence, _) => Err(ErrorCode::UnknownServerError),
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Aborts the open transaction of a producer that is replaced by a newer one or takes too long. Bumps the epoch in
    /// memory immediately, so that every later request of the producer is refused.
    pub fn fence_and_abort(&mut self, now_ms: i64) -> Result<Transition, ErrorCode> {
        if self.is_pending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if !self.value.state.may_become(PrepareEpochFence) {
            return Err(ErrorCode::InvalidTxnState);
        }
        if !self.has_failed_epoch_fence {
            // The last epoch cannot be fenced, but the open transaction must end.
            self.value.producer.epoch = self.value.producer.epoch.saturating_add(1);
        }
        self.last_producer_epoch = NO_PRODUCER_EPOCH;
        let abort = self.prepare_end(TransactionResult::Abort, now_ms);
        Ok(Transition {
            is_epoch_fence: true,
            ..abort
        })
    }

    fn prepare_end(&mut self, result: TransactionResult, now_ms: i64) -> Transition {
        let value = TransactionValue {
            state: match result {
                TransactionResult::Commit => PrepareCommit,
                TransactionResult::Abort => PrepareAbort,
            },
            last_update_ms: now_ms,
            ..self.value.clone()
        };
        self.prepare(value, self.last_producer_epoch)
    }

    /// The end is decided and written. Returns the transition for the time when the last marker is written.
    pub fn prepare_completion(&mut self, now_ms: i64) -> Result<Transition, ErrorCode> {
        if self.is_pending() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let state = self.value.state.completed().ok_or(ErrorCode::InvalidTxnState)?;
        self.has_failed_epoch_fence = false;
        let value = TransactionValue {
            state,
            partitions: BTreeSet::new(),
            last_update_ms: now_ms,
            ..self.value.clone()
        };
        Ok(self.prepare(value, self.last_producer_epoch))
    }

    /// The marker of a partition is written or no longer needed. Returns true if it was the last one.
    pub fn remove_partition(&mut self, partition: &TopicPartition) -> bool {
        self.value.partitions.remove(partition);
        self.value.partitions.is_empty()
    }

    /// Begins to expire an id that has not been used for `expiration_ms`. Returns false if the id is in use.
    pub fn prepare_expiration(&mut self, now_ms: i64, expiration_ms: i64) -> bool {
        let is_expired = !self.is_pending()
            && self.value.state.is_expiration_allowed()
            && self.value.last_update_ms <= now_ms.saturating_sub(expiration_ms);
        if is_expired {
            self.pending = Some(Dead);
        }
        is_expired
    }

    /// Whether the open transaction has exceeded its timeout.
    pub fn is_timed_out(&self, now_ms: i64) -> bool {
        !self.is_pending()
            && self.value.state == Ongoing
            && self
                .value
                .start_ms
                .saturating_add(i64::from(self.value.timeout_ms))
                < now_ms
    }

    /// Applies a transition that is in the log.
    pub fn complete(&mut self, transition: Transition) {
        let value = transition.value;
        assert_eq!(
            self.pending,
            Some(value.state),
            "completing what was not prepared"
        );
        if value.state == Empty {
            self.last_producer_id = self.value.producer.id;
        }
        self.last_producer_epoch = transition.last_epoch;
        // A new producer's record has no start. As in Kafka, DescribeTransactions returns the start of the last
        // transaction until the next reload.
        let start_ms = match value.state {
            Empty => self.value.start_ms,
            _ => value.start_ms,
        };
        self.value = TransactionValue { start_ms, ..value };
        self.pending = None;
    }

    /// A transition cannot be written.
    pub fn fail(&mut self, transition: &Transition) {
        self.has_failed_epoch_fence |= transition.is_epoch_fence;
        self.pending = None;
    }

    /// The append of the tombstone is over. If it was written, the id is [`Dead`].
    pub fn finish_expiration(&mut self, is_written: bool) {
        if is_written {
            self.value.state = Dead;
        }
        self.pending = None;
    }

    fn check_producer(&self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        if producer.id != self.value.producer.id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        match producer.epoch == self.value.producer.epoch {
            true => Ok(()),
            false => Err(ErrorCode::ProducerFenced),
        }
    }

    fn prepare(&mut self, value: TransactionValue, last_epoch: i16) -> Transition {
        assert!(self.pending.is_none(), "one transition at a time");
        assert!(
            self.value.state.may_become(value.state),
            "{:?} to {:?}",
            self.value.state,
            value.state
        );
        self.pending = Some(value.state);
        Transition {
            value,
            last_epoch,
            is_epoch_fence: false,
        }
    }
}

/// Whether a producer id has no epoch left. The last epoch is reserved for fencing, so a producer id has 32,766 epochs.
fn is_epoch_exhausted(epoch: i16) -> bool {
    epoch >= i16::MAX - 1
}

#[cfg(test)]
mod tests;
