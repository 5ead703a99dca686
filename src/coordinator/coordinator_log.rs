//! What a coordinator needs of its topic, `__consumer_offsets` or `__transaction_state`: to append to a partition and to
//! read one from its start. A small trait, so that it can be driven without replicas; and the real thing over
//! [`ReplicaManager`].

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
    /// How long to wait for the replicas.
    pub timeout: Duration,
    /// What [`CoordinatorLog::verify_transaction`] gave for the transaction that the batch belongs to.
    pub guard: Option<VerificationGuard>,
}

/// The transaction in which a coordinator is asked to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionalProducer {
    /// Its `transactional.id`.
    pub transactional_id: Arc<str>,
    /// Its id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Which errors it understands.
    pub operation: TransactionalOperation,
}

/// The partitions of a coordinator's topic that this broker leads.
pub trait CoordinatorLog: Send + Sync + 'static {
    /// Appends a batch. When this returns, the batch has its place in the local log: callers that append one after
    /// the other under a lock find their batches in that order. The future waits as `options` say and gives the batch's
    /// base offset.
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        options: AppendOptions,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>>;

    /// Asks the transaction's coordinator whether the partition is part of it (KIP-890); `None` if that need not be
    /// asked.
    fn verify_transaction(
        &self,
        partition: i32,
        producer: TransactionalProducer,
    ) -> BoxFuture<'static, Result<Option<VerificationGuard>, ErrorCode>>;

    /// Log start offset and log end offset.
    fn bounds(&self, partition: i32) -> Result<(Offset, Offset), ErrorCode>;

    /// Whole batches from the one that holds `offset` on, replicated or not, at least one and else at most
    /// `max_bytes`; empty at the end of the log. May block.
    fn read(&self, partition: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode>;
}

/// [`CoordinatorLog`] on this broker's replicas.
pub struct ReplicatedLog {
    replicas: Arc<ReplicaManager>,
    topic: TopicName,
}

impl ReplicatedLog {
    /// A topic's partitions among these replicas.
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
        // The first poll appends to the local log; only what comes after it waits for anything.
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
