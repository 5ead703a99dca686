//! Expires unused transactional ids and aborts transactions that take too long.
//! Kafka 3.9: `TransactionStateManager` (`removeExpiredTransactionalIds`, `timedOutTransactions`).

use std::sync::Arc;

use bytes::Bytes;
use tracing::{info, warn};

use super::log;
use super::state_manager::{Transaction, TransactionStateManager};
use crate::common::error::ErrorCode;

/// The maximum size of a batch of tombstones, the same as Kafka's buffer. A batch has at least one tombstone.
const TOMBSTONE_BATCH_BYTES: usize = 16_384;
/// The size of a tombstone without its key.
const TOMBSTONE_OVERHEAD_BYTES: usize = 16;

/// The ids whose tombstones are in one batch.
struct Expiring {
    partition: i32,
    transactions: Vec<Arc<Transaction>>,
    tombstones: Vec<(Bytes, Option<Bytes>)>,
    size: usize,
}

impl TransactionStateManager {
    /// The ids whose transaction has been open for longer than its timeout.
    pub(super) fn timed_out(&self) -> Vec<Arc<str>> {
        let now_ms = self.clock.wall_ms();
        let timed_out = |transaction: Arc<Transaction>| {
            let cell = transaction.cell.lock();
            cell.is_timed_out(now_ms).then(|| cell.transactional_id().clone())
        };
        self.transactions().into_iter().filter_map(timed_out).collect()
    }

    /// Removes the ids that have not been used for `transactional.id.expiration.ms`. Returns how many. An id is removed
    /// when its tombstone is replicated.
    pub(super) async fn remove_expired(&self) -> usize {
        let mut removed = 0;
        for partition in 0..self.partitions.count() {
            for expiring in self.expiring(partition) {
                removed += self.expire(expiring).await;
            }
        }
        if removed > 0 {
            info!(transactional_ids = removed, "removed expired transactional ids");
        }
        removed
    }

    fn expiring(&self, partition: i32) -> Vec<Expiring> {
        let Some(entry) = self.partitions.get(partition) else {
            return Vec::new();
        };
        let (now_ms, expiration_ms) = (self.clock.wall_ms(), self.config.transactional_id_expiration_ms);
        let mut batches: Vec<Expiring> = Vec::new();
        for (id, transaction) in &entry.read().state {
            // Every loaded or initialized id can be written as a key.
            let Ok(key) = log::key(id) else { continue };
            if !transaction.cell.lock().prepare_expiration(now_ms, expiration_ms) {
                continue;
            }
            let size = key.len() + TOMBSTONE_OVERHEAD_BYTES;
            let has_room = |batch: &&mut Expiring| batch.size + size <= TOMBSTONE_BATCH_BYTES;
            match batches.last_mut().filter(has_room) {
                Some(batch) => {
                    batch.transactions.push(transaction.clone());
                    batch.tombstones.push((key, None));
                    batch.size += size;
                }
                None => batches.push(Expiring {
                    partition,
                    transactions: vec![transaction.clone()],
                    tombstones: vec![(key, None)],
                    size,
                }),
            }
        }
        batches
    }

    async fn expire(&self, expiring: Expiring) -> usize {
        let Expiring {
            partition,
            transactions,
            tombstones,
            ..
        } = expiring;
        let append = {
            // The lock keeps the append out of a later leader epoch: see the locks in the module documentation.
            let guard = self.partitions.get(partition).map(|entry| entry.read());
            let is_owned = |t: &Arc<Transaction>| {
                let id = t.id();
                guard
                    .as_ref()
                    .and_then(|guard| guard.state.get(&id))
                    .is_some_and(|current| Arc::ptr_eq(current, t))
            };
            match transactions.iter().all(is_owned) {
                true => Ok(self.append_records(partition, &tombstones, self.config.request_timeout)),
                false => Err(ErrorCode::NotCoordinator),
            }
        };
        let written = match append {
            Ok(append) => append.await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = &written {
            warn!(partition, %error, "cannot remove expired transactional ids");
        }
        let mut guard = self.partitions.get(partition).map(|entry| entry.write());
        for transaction in &transactions {
            let mut cell = transaction.cell.lock();
            cell.finish_expiration(written.is_ok());
            if let (true, Some(guard)) = (written.is_ok(), &mut guard) {
                let is_same = |current: &Arc<Transaction>| Arc::ptr_eq(current, transaction);
                let id = cell.transactional_id();
                if guard.state.get(id).is_some_and(is_same) {
                    guard.state.remove(id);
                }
            }
        }
        if written.is_ok() { transactions.len() } else { 0 }
    }
}
