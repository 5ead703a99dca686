//! A coordinator's access to its topic, `__consumer_offsets` or `__transaction_state`: it appends to a partition and
//! reads one from its start. A small trait, so that a coordinator can be tested without replicas, and its
//! implementation with [`ReplicaManager`].

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, ProducerId, TopicName, TopicPartition};
use crate::log::{AppendOrigin, FetchIsolation, LogError, UnifiedLog, VerificationGuard};
use crate::record::batch::NO_SEQUENCE;
use crate::replica::{AppendEntry, ReplicaManager, TransactionalOperation};

/// How a batch is appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOptions {
    /// 0, 1 or -1, as in Produce.
    pub required_acks: i16,
    /// How long to wait for replication.
    pub timeout: Duration,
    /// The result of [`CoordinatorLog::verify_transaction`] for the batch's transaction.
    pub guard: Option<VerificationGuard>,
}

/// The producer and transaction of a transactional write to a coordinator's topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionalProducer {
    /// The `transactional.id`.
    pub transactional_id: Arc<str>,
    /// The producer's id.
    pub producer_id: ProducerId,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The operation, which decides the error codes that the client understands.
    pub operation: TransactionalOperation,
}

/// The partitions of a coordinator's topic that this broker leads.
pub trait CoordinatorLog: Send + Sync + 'static {
    /// Appends a batch. When this function returns, the batch is in the local log, so callers that append under a lock
    /// get their batches in lock order. The returned future waits as `options` say and returns the batch's base offset.
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>>;

    /// Asks the transaction's coordinator whether the partition is part of the transaction (KIP-890). `None` if no
    /// question is needed.
    fn verify_transaction(
        &self,
        partition: i32,
        producer: TransactionalProducer,
    ) -> BoxFuture<'static, Result<Option<VerificationGuard>, ErrorCode>>;

    /// The log start offset and the log end offset.
    fn bounds(&self, partition: i32) -> Result<(Offset, Offset), ErrorCode>;

    /// Reads whole batches, replicated or not, from the batch that contains `offset`. Returns at least one batch and
    /// otherwise at most `max_bytes`; empty at the end of the log. May block.
    fn read(&self, partition: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode>;
}

/// The [`CoordinatorLog`] on this broker's replicas.
pub struct ReplicatedLog {
    replicas: Arc<ReplicaManager>,
    topic: TopicName,
}

impl ReplicatedLog {
    /// The log of a topic's partitions in these replicas.
    pub fn new(replicas: Arc<ReplicaManager>, topic: &str) -> Self {
        Self {
            replicas,
            topic: topic.into(),
        }
    }

    fn topic_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), partition)
    }

    fn leader_log(&self, partition: i32) -> Result<Arc<UnifiedLog>, ErrorCode> {
        self.replicas
            .partition(&self.topic_partition(partition))?
            .leader_log()
    }
}

impl CoordinatorLog for ReplicatedLog {
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let replicas = self.replicas.clone();
        let entry = AppendEntry {
            partition: self.topic_partition(partition),
            records,
            guard: options.guard,
        };
        let mut append = async move {
            let (timeout, acks) = (options.timeout, options.required_acks);
            let results = replicas
                .append_records(timeout, acks, AppendOrigin::Coordinator, true, vec![entry])
                .await;
            match results.into_iter().next() {
                Some((_, Ok(info))) => Ok(info.first_offset),
                Some((_, Err(error))) => Err(error.code),
                None => Err(ErrorCode::UnknownServerError),
            }
        }
        .boxed();
        // The first poll appends to the local log. Only later polls wait.
        match append.as_mut().now_or_never() {
            Some(result) => ready(result).boxed(),
            None => append,
        }
    }

    fn verify_transaction(
        &self,
        partition: i32,
        producer: TransactionalProducer,
    ) -> BoxFuture<'static, Result<Option<VerificationGuard>, ErrorCode>> {
        let verify = self.replicas.verification().clone().verify(
            producer.transactional_id,
            (producer.producer_id, producer.producer_epoch),
            (self.topic_partition(partition), NO_SEQUENCE),
            producer.operation,
        );
        verify.boxed()
    }

    fn bounds(&self, partition: i32) -> Result<(Offset, Offset), ErrorCode> {
        let log = self.leader_log(partition)?;
        Ok((log.log_start_offset(), log.log_end_offset()))
    }

    fn read(&self, partition: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode> {
        let log = self.leader_log(partition)?;
        let data = log
            .read(offset, max_bytes, FetchIsolation::LogEnd, true)
            .map_err(|error| match error {
                LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                LogError::Storage { .. } | LogError::InconsistentTopicId { .. } => {
                    ErrorCode::KafkaStorageError
                }
            })?;
        let Some(slice) = data.records else {
            return Ok(Bytes::new());
        };
        let mut bytes = vec![0; slice.length];
        slice
            .file
            .read_exact_at(&mut bytes, slice.position)
            .map_err(|_| ErrorCode::KafkaStorageError)?;
        Ok(bytes.into())
    }
}
