//! Asks the coordinators to verify the transactions that batches open in the logs of this broker (KIP-890). Kafka 3.9:
//! `ReplicaManager.maybeStartTransactionVerificationForPartition`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::add_partitions_to_txn::{AddPartitionsToTxnManager, TransactionToVerify, TransactionalOperation};
use super::hosted_partitions::HostedPartitions;
use crate::common::clock::SharedClock;
use crate::common::error::ErrorCode;
use crate::common::ids::{ProducerId, TopicPartition};
use crate::config::BrokerConfig;
use crate::log::VerificationGuard;
use crate::metadata::MetadataCache;
use crate::metrics::Registry;
use crate::network::ChannelBuilder;

/// The producer and the partitions of the transactional batches in a Produce request.
pub(super) struct TransactionalBatches {
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: i16,
    /// The partitions, with the first sequence number of each.
    pub(super) partitions: Vec<(TopicPartition, i32)>,
}

/// The result for each partition whose verification was needed.
pub(super) type Verified = HashMap<TopicPartition, Result<Option<VerificationGuard>, ErrorCode>>;

/// The verification of transactions, if it is enabled.
pub struct TransactionVerification {
    add_partitions_to_txn: AddPartitionsToTxnManager,
    partitions: Arc<HostedPartitions>,
    /// `transaction.partition.verification.enable`.
    is_enabled: AtomicBool,
}

impl TransactionVerification {
    /// Creates the verification for the partitions of this broker.
    pub(super) fn new(
        config: &BrokerConfig,
        channels: &ChannelBuilder,
        metadata: Arc<MetadataCache>,
        partitions: Arc<HostedPartitions>,
        clock: SharedClock,
        metrics: &Registry,
    ) -> Self {
        Self {
            add_partitions_to_txn: AddPartitionsToTxnManager::new(config, channels, metadata, clock, metrics),
            partitions,
            is_enabled: AtomicBool::new(config.transaction_partition_verification_enable),
        }
    }

    /// Whether batches that open a transaction need the coordinator's confirmation.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled.load(Ordering::Relaxed)
    }

    /// Enables or disables the verification.
    pub(super) fn enable(&self, is_enabled: bool) {
        self.is_enabled.store(is_enabled, Ordering::Relaxed);
    }

    /// Verifies the partitions in which the batches open a transaction.
    pub(super) async fn verify_all(
        &self,
        transactional_id: &str,
        operation: TransactionalOperation,
        batches: TransactionalBatches,
    ) -> Verified {
        let (producer_id, producer_epoch) = (batches.producer_id, batches.producer_epoch);
        let mut verified = Verified::new();
        let mut asked = Vec::new();
        for (name, sequence) in batches.partitions {
            let begun = self.partitions.online(&name).and_then(|partition| {
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

    /// Fixes the number of partitions of `__transaction_state` among which the coordinators divide the ids.
    pub fn fix_partition_count(&self, count: i32) {
        self.add_partitions_to_txn.fix_partition_count(count);
    }

    /// Verifies a transaction before a coordinator writes to one partition in it. The guard is passed to the append;
    /// `None` if the append needs no guard.
    pub async fn verify(
        self: Arc<Self>,
        transactional_id: Arc<str>,
        (producer_id, producer_epoch): (ProducerId, i16),
        (partition, sequence): (TopicPartition, i32),
        operation: TransactionalOperation,
    ) -> Result<Option<VerificationGuard>, ErrorCode> {
        if !self.is_enabled() {
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
