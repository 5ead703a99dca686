//! Appends the records of producers, after the transactions that they open have been verified (KIP-890). Kafka 3.9:
//! `ReplicaManager.handleProduceAppend`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::add_partitions_to_txn::TransactionalOperation;
use super::append::{AppendEntry, AppendResult, refused};
use super::manager::ReplicaManager;
use super::transaction_verification::{TransactionalBatches, Verified};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::log::{AppendError, AppendOrigin};
use crate::record::RecordBatches;

impl ReplicaManager {
    /// Calls [`append_records`](Self::append_records) for a producer. Batches that open a transaction in a log are
    /// appended only if their coordinator says that the partition is part of the transaction.
    pub async fn handle_produce_append(
        &self,
        timeout: Duration,
        required_acks: i16,
        internal_topics_allowed: bool,
        transaction: Option<(&str, TransactionalOperation)>,
        entries: Vec<AppendEntry>,
    ) -> Vec<(TopicPartition, AppendResult)> {
        let mut verified = match (transactional_batches(&entries), transaction) {
            (Err(error), _) => {
                let fail = |entry: AppendEntry| (entry.partition, Err(error.clone()));
                return entries.into_iter().map(fail).collect();
            }
            (Ok(Some(batches)), Some((id, operation))) if self.verification.is_enabled() => {
                self.verification.verify_all(id, operation, batches).await
            }
            _ => Verified::new(),
        };
        let mut results = Vec::with_capacity(entries.len());
        let mut admitted = Vec::with_capacity(entries.len());
        for mut entry in entries {
            match verified.remove(&entry.partition).unwrap_or(Ok(None)) {
                Ok(guard) => {
                    entry.guard = guard;
                    results.push(None);
                    admitted.push(entry);
                }
                Err(code) => results.push(Some((entry.partition, Err(not_verified(code))))),
            }
        }
        let mut appended = self
            .append_records(
                timeout,
                required_acks,
                AppendOrigin::Client,
                internal_topics_allowed,
                admitted,
            )
            .await
            .into_iter();
        results
            .into_iter()
            .filter_map(|refused| refused.or_else(|| appended.next()))
            .collect()
    }
}

/// The producer whose transactional batches are among the entries; there is at most one.
fn transactional_batches(entries: &[AppendEntry]) -> Result<Option<TransactionalBatches>, AppendError> {
    let mut producers = BTreeSet::new();
    let mut partitions = Vec::new();
    for entry in entries {
        // The append itself refuses batches that cannot be read.
        let batches = RecordBatches::new(&entry.records).map_while(Result::ok);
        let mut first_sequence = None;
        let mut is_transactional = false;
        for batch in batches {
            first_sequence.get_or_insert(batch.base_sequence());
            if batch.has_producer_id() && batch.is_transactional() {
                producers.insert((batch.producer_id(), batch.producer_epoch()));
                is_transactional = true;
            }
        }
        if let (true, Some(sequence)) = (is_transactional, first_sequence) {
            partitions.push((entry.partition.clone(), sequence));
        }
    }
    if producers.len() > 1 {
        let message = "Transactional records contained more than one producer ID";
        return Err(refused(ErrorCode::InvalidProducerIdMapping, message));
    }
    Ok(producers
        .pop_first()
        .map(|(producer_id, producer_epoch)| TransactionalBatches {
            producer_id,
            producer_epoch,
            partitions,
        }))
}

/// The error for the producer. Older producers do not expect a coordinator's errors from a leader. They get an error
/// after which they send again without looking for another leader.
fn not_verified(code: ErrorCode) -> AppendError {
    match code {
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => refused(
            ErrorCode::NotEnoughReplicas,
            format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {}",
                code.name()
            ),
        ),
        ErrorCode::InvalidTxnState => refused(code, "Partition was not added to the transaction"),
        code => refused(code, "the transaction was not verified"),
    }
}
