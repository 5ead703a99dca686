//! Loads a partition of `__transaction_state` when this broker becomes its leader, and unloads it later. Kafka 3.9:
//! `TransactionStateManager` (`loadTransactionsForTxnTopicPartition`, `removeTransactionsForTxnTopicPartition`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::log::{self, Key};
use super::metadata::{TransactionMetadata, TransactionValue};
use super::state_manager::{PartitionTransactions, Transaction, TransactionStateManager};
use crate::common::ids::LeaderEpoch;
use crate::common::topic_name::TRANSACTION_STATE_TOPIC;
use crate::coordinator::fields::LogFormatError;
use crate::coordinator::partitions::Load;
use crate::coordinator::replay::for_each_record;
use crate::record::{Record, RecordBatch};

type Values = HashMap<Arc<str>, TransactionValue>;

/// How long to wait before asking ZooKeeper again.
const COUNT_RETRY: Duration = Duration::from_secs(1);

impl TransactionStateManager {
    /// Loads a partition that this broker leads in this epoch. Returns the ids whose end is decided but whose markers
    /// may be missing (fact 65).
    pub(super) async fn load_in_turn(self: Arc<Self>, load: Load) -> Vec<Arc<Transaction>> {
        if !self.is_partition_count_stable(load).await {
            return Vec::new();
        }
        let this = self.clone();
        let loaded = self.partitions.in_turn(load, move || this.load(load)).await;
        loaded.unwrap_or_default()
    }

    /// Whether the topic has the same number of partitions as when this broker started. If not, brokers that start
    /// later map an id to another coordinator, and two producers could use the id without fencing each other. As in
    /// Kafka, the clients are told to wait for a coordinator. They find one after the brokers have been restarted.
    async fn is_partition_count_stable(&self, load: Load) -> bool {
        loop {
            let (partition, count) = (load.partition, self.partitions.count());
            match (self.partition_count_now)().await {
                Ok(now) if now == count => return true,
                Ok(now) => {
                    error!(
                        partition,
                        count,
                        now,
                        "{TRANSACTION_STATE_TOPIC} has another number of partitions than when this broker started, restart it"
                    );
                    return false;
                }
                Err(error) => {
                    warn!(partition, %error, "cannot find out how many partitions {TRANSACTION_STATE_TOPIC} has");
                }
            }
            tokio::time::sleep(COUNT_RETRY).await;
            if !self.partitions.is_current(load) {
                return false;
            }
        }
    }

    /// Reads a partition. Blocks the thread.
    fn load(&self, load: Load) -> Vec<Arc<Transaction>> {
        let mut values = Values::new();
        if !self.partitions.replay(load, |batch| apply(&mut values, batch)) {
            return Vec::new();
        }
        let partition = load.partition;
        let loaded: PartitionTransactions = values
            .into_iter()
            .map(|(id, value)| {
                let metadata = TransactionMetadata::loaded(id.clone(), value);
                (id, Transaction::new(partition, metadata))
            })
            .collect();
        let is_ending =
            |transaction: &&Arc<Transaction>| transaction.cell.lock().value().state.completed().is_some();
        let ending: Vec<_> = loaded.values().filter(is_ending).cloned().collect();
        let count = loaded.len();
        if !self.partitions.finish(load, loaded, |_, _| {}) {
            return Vec::new();
        }
        info!(
            partition,
            transactions = count,
            ending = ending.len(),
            "loaded transactions"
        );
        ending
    }

    /// This broker no longer leads a partition. `epoch` is `None` if the controller sent none.
    pub(super) fn unload(&self, partition: i32, epoch: Option<LeaderEpoch>) {
        // No request waits in an id. Transitions in progress check the ownership themselves.
        drop(self.partitions.resign(partition, epoch));
    }
}

/// Applies a batch. The newest record of each id is valid.
fn apply(values: &mut Values, batch: &RecordBatch<'_>) {
    if !batch.is_control_batch() {
        for_each_record(batch, |record| apply_record(values, record));
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
