//! Which partitions of `__transaction_state` this broker leads: ids are loaded when it begins to lead one and unloaded
//! when it ceases to. Kafka 3.9: `TransactionStateManager` (`loadTransactionsForTxnTopicPartition`,
//! `removeTransactionsForTxnTopicPartition`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{debug, error, info, warn};

use super::log::{self, Key};
use super::metadata::{TransactionMetadata, TransactionValue};
use super::state_manager::{Transaction, TransactionStateManager};
use crate::common::ids::LeaderEpoch;
use crate::common::topic_name::TRANSACTION_STATE_TOPIC;
use crate::coordinator::coordinator_log::CoordinatorLog;
use crate::coordinator::fields::LogFormatError;
use crate::coordinator::ownership::Ownership;
use crate::coordinator::replay::{LoadError, MAX_RECORD_BYTES, for_each_batch};
use crate::record::{Record, RecordBatch, RecordReader};

type Values = HashMap<Arc<str>, TransactionValue>;

impl TransactionStateManager {
    /// This broker leads a partition since this epoch: requests for its ids are told to wait until [`Self::load`] is
    /// done, which is to be called with the number that is returned; `None` if there is nothing to load.
    pub(super) fn begin_load(&self, partition: i32, epoch: LeaderEpoch) -> Option<u64> {
        let Some(entry) = self.partition(partition) else {
            error!(
                partition,
                "{TRANSACTION_STATE_TOPIC} has more partitions than when this broker started"
            );
            return None;
        };
        let mut guard = entry.write();
        // The markers of one leadership all carry its first epoch, so a bump of the epoch alone changes nothing.
        if guard.leadership.ownership != Ownership::Elsewhere {
            debug!(partition, epoch, "elected again as transaction coordinator");
            return None;
        }
        if !guard.leadership.advance_epoch(Some(epoch)) {
            info!(
                partition,
                epoch,
                current = guard.leadership.epoch,
                "ignoring a late election as transaction coordinator"
            );
            return None;
        }
        let load = self.next_load.fetch_add(1, Ordering::Relaxed);
        guard.leadership.ownership = Ownership::Loading { load };
        info!(partition, epoch, "elected as transaction coordinator, loading");
        Some(load)
    }

    /// Reads a partition; blocks. Returns the ids whose end was decided but whose markers may be missing (trap 65). A
    /// partition that cannot be read is not owned: its ids would seem never to have been used.
    pub(super) fn load(&self, partition: i32, load: u64) -> Vec<Arc<Transaction>> {
        let Some(entry) = self.partition(partition) else {
            return Vec::new();
        };
        let is_current =
            || entry.read().leadership.ownership == Ownership::Loading { load } && !self.stop.is_cancelled();
        let start_ms = self.clock.monotonic_ms();
        let values = match replay(&*self.log, partition, self.config.load_buffer_size, is_current) {
            Ok(values) => values,
            Err(LoadError::Superseded) => return Vec::new(),
            Err(error) => {
                error!(partition, %error, "cannot load transactions");
                let mut guard = entry.write();
                if guard.leadership.ownership == (Ownership::Loading { load }) {
                    guard.leadership.ownership = Ownership::Elsewhere;
                }
                return Vec::new();
            }
        };
        let loaded = values.into_iter().map(|(id, value)| {
            let metadata = TransactionMetadata::loaded(id.clone(), value);
            (id, Transaction::new(partition, metadata))
        });
        let loaded: HashMap<_, _> = loaded.collect();
        let is_ending =
            |transaction: &&Arc<Transaction>| transaction.cell.lock().value().state.completed().is_some();
        let ending: Vec<_> = loaded.values().filter(is_ending).cloned().collect();
        let mut guard = entry.write();
        if guard.leadership.ownership != (Ownership::Loading { load }) {
            debug!(partition, "the partition has moved while it was being loaded");
            return Vec::new();
        }
        let count = loaded.len();
        guard.transactions = loaded;
        guard.leadership.ownership = Ownership::Owned;
        drop(guard);
        let took_ms = self.clock.monotonic_ms() - start_ms;
        info!(
            partition,
            transactions = count,
            ending = ending.len(),
            took_ms,
            "loaded transactions"
        );
        ending
    }

    /// This broker does not lead a partition any more; no epoch if the controller named none.
    pub(super) fn unload(&self, partition: i32, epoch: Option<LeaderEpoch>) {
        let Some(entry) = self.partition(partition) else {
            return;
        };
        let mut guard = entry.write();
        if !guard.leadership.advance_epoch(epoch) {
            info!(
                partition,
                epoch,
                current = guard.leadership.epoch,
                "ignoring a late resignation as transaction coordinator"
            );
            return;
        }
        let was = std::mem::take(&mut guard.leadership.ownership);
        let transactions = std::mem::take(&mut guard.transactions);
        drop(guard);
        if was != Ownership::Elsewhere {
            info!(
                partition,
                epoch,
                transactions = transactions.len(),
                "resigned as transaction coordinator"
            );
        }
    }
}

/// The newest record of each id counts. One that cannot be read is skipped with a warning: one bad record must not cost
/// every producer its id.
fn replay(
    log: &dyn CoordinatorLog,
    partition: i32,
    buffer_size: usize,
    is_current: impl Fn() -> bool,
) -> Result<Values, LoadError> {
    let mut values = Values::new();
    for_each_batch(log, partition, buffer_size, is_current, |batch| {
        apply(&mut values, batch);
    })?;
    Ok(values)
}

fn apply(values: &mut Values, batch: &RecordBatch<'_>) {
    if batch.is_control_batch() {
        return;
    }
    let offset = batch.base_offset();
    let mut records = match RecordReader::new(batch, MAX_RECORD_BYTES) {
        Ok(records) => records,
        Err(error) => {
            warn!(offset, %error, "skipping an unreadable batch of the transaction log");
            return;
        }
    };
    loop {
        match records.next() {
            Ok(Some(record)) => {
                if let Err(error) = apply_record(values, &record) {
                    warn!(offset = record.offset, %error, "skipping an unreadable record of the transaction log");
                }
            }
            Ok(None) => return,
            Err(error) => {
                warn!(offset, %error, "skipping the rest of a batch of the transaction log");
                return;
            }
        }
    }
}

fn apply_record(values: &mut Values, record: &Record<'_>) -> Result<(), LogFormatError> {
    match log::read_key(record.key.unwrap_or_default())? {
        Key::TransactionalId(id) => {
            match record.value.map(log::read_value).transpose()? {
                Some(value) => values.insert(id.into(), value),
                None => values.remove(id),
            };
        }
        Key::Unknown(version) => {
            warn!(
                offset = record.offset,
                version, "skipping a record with a key of an unknown version"
            );
        }
    }
    Ok(())
}
