//! What the coordinator needs of `__consumer_offsets`: to append to a partition and to read one from its start.
//! A small trait, so that it can be driven without replicas; and the real thing over [`ReplicaManager`].

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicPartition};
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::log::{AppendOrigin, FetchIsolation, LogError, UnifiedLog};
use crate::replica::ReplicaManager;

/// The partitions of `__consumer_offsets` that this broker leads.
pub trait OffsetsLog: Send + Sync + 'static {
    /// Appends a batch. When this returns, the batch has its place in the local log: callers that append one after
    /// the other under a lock find their batches in that order. The future waits as `required_acks` (0, 1, -1)
    /// says, at most `offsets.commit.timeout.ms`, and gives the batch's base offset.
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        required_acks: i16,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>>;

    /// Log start offset and log end offset.
    fn bounds(&self, partition: i32) -> Result<(Offset, Offset), ErrorCode>;

    /// Whole batches from the one that holds `offset` on, replicated or not, at least one and else at most
    /// `max_bytes`; empty at the end of the log. May block.
    fn read(&self, partition: i32, offset: Offset, max_bytes: usize) -> Result<Bytes, ErrorCode>;
}

/// [`OffsetsLog`] on this broker's replicas.
pub struct ReplicatedOffsetsLog {
    replicas: Arc<ReplicaManager>,
    /// `offsets.commit.timeout.ms`.
    commit_timeout: Duration,
}

impl ReplicatedOffsetsLog {
    /// Over these replicas.
    pub fn new(replicas: Arc<ReplicaManager>, commit_timeout: Duration) -> Self {
        Self {
            replicas,
            commit_timeout,
        }
    }

    fn leader_log(&self, partition: i32) -> Result<Arc<UnifiedLog>, ErrorCode> {
        self.replicas
            .leader_log(&TopicPartition::new(GROUP_METADATA_TOPIC, partition))
    }
}

impl OffsetsLog for ReplicatedOffsetsLog {
    fn append(
        &self,
        partition: i32,
        records: Bytes,
        required_acks: i16,
    ) -> BoxFuture<'static, Result<Offset, ErrorCode>> {
        let (replicas, timeout) = (self.replicas.clone(), self.commit_timeout);
        let mut append = async move {
            let entries = vec![(TopicPartition::new(GROUP_METADATA_TOPIC, partition), records)];
            let results = replicas
                .append_records(timeout, required_acks, AppendOrigin::Coordinator, true, entries)
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
