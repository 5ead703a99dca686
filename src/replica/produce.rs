//! Appending what producers send, after the transactions that it opens have been verified (KIP-890).
//! Kafka 3.9: `ReplicaManager.handleProduceAppend`, `ReplicaManager.maybeStartTransactionVerificationForPartition`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::add_partitions_to_txn::TransactionToVerify;
use super::append::{AppendEntry, AppendResult, refused};
use super::manager::ReplicaManager;
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicPartition};
use crate::log::{AppendError, AppendOrigin, VerificationGuard};
use crate::record::RecordBatches;

/// Which errors the client behind a transactional request understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionalOperation {
    /// INVALID_TXN_STATE for a partition that is not part of the transaction.
    DefaultError,
    /// TRANSACTION_ABORTABLE for that: Produce from version 11, TxnOffsetCommit from version 4.
    GenericError,
}

/// The transaction that a Produce request writes to, if it does.
struct TransactionalBatches {
    producer_id: ProducerId,
    producer_epoch: i16,
    /// The partitions and the first sequence number for each.
    partitions: Vec<(TopicPartition, i32)>,
}

/// What became of the verification of each partition that needed one.
type Verified = HashMap<TopicPartition, Result<Option<VerificationGuard>, ErrorCode>>;

impl ReplicaManager {
    /// [`append_records`](Self::append_records) for a producer. Batches that open a transaction in a log are appended
    /// only if their coordinator says that the partition is part of the transaction.
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
            (Ok(Some(batches)), Some((id, operation))) if self.verifies_transactions() => {
                self.verify_all(id, operation, batches).await
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

    async fn verify_all(
        &self,
        transactional_id: &str,
        operation: TransactionalOperation,
        batches: TransactionalBatches,
    ) -> Verified {
        let (producer_id, producer_epoch) = (batches.producer_id, batches.producer_epoch);
        let mut verified = Verified::new();
        let mut asked = Vec::new();
        for (name, sequence) in batches.partitions {
            let begun = self.partition(&name).and_then(|partition| {
                partition.begin_transaction_verification(producer_id, producer_epoch, sequence)
            });
            if matches!(begun, Ok(Some(_))) {
                asked.push(name.clone());
            }
            verified.insert(name, begun);
        }
        if asked.is_empty() {
            return verified;
        }
        let transaction = TransactionToVerify {
            transactional_id: transactional_id.into(),
            producer_id,
            producer_epoch,
            partitions: asked,
        };
        for (name, code) in self.add_partitions_to_txn.verify(transaction, operation).await {
            verified.insert(name, Err(code));
        }
        verified
    }

    /// How many partitions of `__transaction_state` the coordinators share the ids out to.
    pub fn fix_transaction_partition_count(&self, count: i32) {
        self.add_partitions_to_txn.fix_partition_count(count);
    }

    /// Has a transaction verified in which a coordinator is about to write to one partition. The guard goes with the
    /// append; `None` if the append needs none.
    pub async fn verify_transaction(
        self: Arc<Self>,
        transactional_id: Arc<str>,
        (producer_id, producer_epoch): (ProducerId, i16),
        (partition, sequence): (TopicPartition, i32),
        operation: TransactionalOperation,
    ) -> Result<Option<VerificationGuard>, ErrorCode> {
        if !self.verifies_transactions() {
            return Ok(None);
        }
        let batches = TransactionalBatches {
            producer_id,
            producer_epoch,
            partitions: vec![(partition.clone(), sequence)],
        };
        let mut verified = self.verify_all(&transactional_id, operation, batches).await;
        verified.remove(&partition).unwrap_or(Ok(None))
    }
}

/// The one producer whose transactional batches are among the entries.
fn transactional_batches(entries: &[AppendEntry]) -> Result<Option<TransactionalBatches>, AppendError> {
    let mut producers = BTreeSet::new();
    let mut partitions = Vec::new();
    for entry in entries {
        // What cannot be read is refused when it is appended.
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

/// What a producer is told. Older ones do not expect a coordinator's errors from a leader: they get one on which they
/// send again without looking for another leader.
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
