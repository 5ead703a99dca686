//! Handles OffsetCommit and TxnOffsetCommit: writes the offsets to `__consumer_offsets`, then keeps them in memory.
//! Offsets of a transaction become valid when the transaction's marker has been written to the same partition (fact
//! 68). Kafka 3.9: `GroupMetadataManager` (`storeOffsets`).

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::coordinator::GroupCoordinator;
use super::effect::Now;
use super::log::{self, LogFormatError};
use super::offsets::{CommitId, OffsetAndMetadata};
use super::partition_groups::{Group, GroupCell};
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, ProducerId, TopicPartition};
use crate::coordinator::coordinator_log::TransactionalProducer;
use crate::log::VerificationGuard;

/// An OffsetCommit, independent of its version.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of OffsetCommitRequest")]
pub struct CommitRequest {
    pub group_id: Arc<str>,
    /// Empty if the client is not a member.
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    /// -1 if the client is not a member.
    pub generation_id: i32,
    pub offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
}

/// A commit within a transaction.
#[derive(Clone, Debug)]
pub struct TransactionalCommitRequest {
    /// The same fields as outside a transaction.
    pub commit: CommitRequest,
    /// The producer that runs the transaction.
    pub producer: TransactionalProducer,
}

/// The transaction that a batch belongs to, and the guard of the transaction's verification.
type Transaction = (TransactionalProducer, Option<VerificationGuard>);

/// A commit that is being appended to the log.
struct Appending {
    id: CommitId,
    /// Set if the commit is part of a transaction.
    producer: Option<ProducerId>,
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    append: BoxFuture<'static, Result<Offset, ErrorCode>>,
}

impl GroupCoordinator {
    /// Handles OffsetCommit. Returns an error code for each partition, in the order of the request.
    pub async fn commit_offsets(&self, request: CommitRequest) -> Vec<ErrorCode> {
        let codes = self.metadata_codes(&request);
        let for_all = self.try_commit(request).await.err().unwrap_or(ErrorCode::None);
        combine(codes, for_all)
    }

    /// Handles TxnOffsetCommit. Returns an error code for each partition, in the order of the request.
    pub async fn commit_transactional_offsets(&self, request: TransactionalCommitRequest) -> Vec<ErrorCode> {
        let codes = self.metadata_codes(&request.commit);
        let committed = self.try_transactional_commit(request).await;
        combine(codes, committed.err().unwrap_or(ErrorCode::None))
    }

    fn metadata_codes(&self, request: &CommitRequest) -> Vec<ErrorCode> {
        let code = |offset| match self.is_metadata_too_large(offset) {
            true => ErrorCode::OffsetMetadataTooLarge,
            false => ErrorCode::None,
        };
        request.offsets.iter().map(|(_, offset)| code(offset)).collect()
    }

    async fn try_transactional_commit(&self, request: TransactionalCommitRequest) -> Result<(), ErrorCode> {
        let TransactionalCommitRequest {
            commit: mut request,
            producer,
        } = request;
        if request.group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let group = self.find_or_create(&request.group_id)?;
        let verified = self.log.verify_transaction(group.partition, producer.clone());
        let guard = verified.await.map_err(offset_commit_error)?;
        // The open transaction is noted before the append, so that its marker finds the group.
        self.note_open_transaction(&request.group_id, producer.producer_id)?;
        let appending = self.drive(&group, |cell, now| {
            cell.metadata.accept_transactional_offset_commit(
                &request.member_id,
                request.group_instance_id.as_deref(),
                request.generation_id,
            )?;
            request
                .offsets
                .retain(|(_, offset)| !self.is_metadata_too_large(offset));
            let transaction = Some((producer, guard));
            self.begin_commit(&group, cell, request.offsets, transaction, now)
        })?;
        match appending {
            Some(appending) => self.finish_commit(group, appending).await,
            None => Ok(()),
        }
    }

    /// Commits the offsets whose metadata is short enough. An error is the same for all of these.
    async fn try_commit(&self, mut request: CommitRequest) -> Result<(), ErrorCode> {
        let group = match self.find(&request.group_id)? {
            Some(group) => group,
            None if request.generation_id < 0 => self.find_or_create(&request.group_id)?,
            None => return Err(ErrorCode::IllegalGeneration),
        };
        let appending = self.drive(&group, |cell, now| {
            cell.metadata.accept_offset_commit(
                &request.member_id,
                request.group_instance_id.as_deref(),
                request.generation_id,
                now,
            )?;
            request
                .offsets
                .retain(|(_, offset)| !self.is_metadata_too_large(offset));
            self.begin_commit(&group, cell, request.offsets, None, now)
        })?;
        match appending {
            Some(appending) => self.finish_commit(group, appending).await,
            None => Ok(()),
        }
    }

    /// `offset.metadata.max.bytes` counts as Java's `String.length` does.
    fn is_metadata_too_large(&self, offset: &OffsetAndMetadata) -> bool {
        let limit = self.config.offset_metadata_max_size;
        // A string never has more UTF-16 units than UTF-8 bytes.
        offset.metadata.len() > limit && offset.metadata.encode_utf16().count() > limit
    }

    fn begin_commit(
        &self,
        group: &Group,
        cell: &mut GroupCell,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        transaction: Option<Transaction>,
        now: Now,
    ) -> Result<Option<Appending>, ErrorCode> {
        if offsets.is_empty() {
            return Ok(None);
        }
        let group_id = cell.metadata.id().clone();
        let records: Result<Vec<(Bytes, Option<Bytes>)>, LogFormatError> = offsets
            .iter()
            .map(|(partition, offset)| {
                let key = log::offset_key(&group_id, &partition.topic, partition.partition)?;
                Ok((key, Some(log::offset_value(offset)?)))
            })
            .collect();
        let records = records.map_err(|error| {
            error!(group = %group_id, %error, "cannot write an offset");
            ErrorCode::UnknownServerError
        })?;
        let partitions = offsets.iter().map(|(partition, _)| partition);
        let pending = &mut cell.metadata.offsets;
        let (id, batch, guard) = match &transaction {
            None => (pending.begin_commit(partitions), self.batch(&records, now), None),
            Some((producer, guard)) => (
                pending.begin_transactional_commit(producer.producer_id, partitions),
                self.transactional_batch(&records, producer, now),
                guard.clone(),
            ),
        };
        Ok(Some(Appending {
            id,
            producer: transaction.map(|(producer, _)| producer.producer_id),
            offsets,
            append: self.append(group.partition, batch, self.config.required_acks, guard),
        }))
    }

    /// Waits for replication, if the commit needs it. The wait runs in its own task: even if the client's request is
    /// dropped, the offset is in the log and memory must agree with it.
    async fn finish_commit(&self, group: Arc<Group>, mut appending: Appending) -> Result<(), ErrorCode> {
        let count = appending.offsets.len() as u64;
        let result = match (&mut appending.append).now_or_never() {
            Some(result) => {
                self.remember_commit(&group, appending, &result);
                Ok(result)
            }
            None => {
                let this = self.handle();
                let (done, result) = oneshot::channel();
                self.spawn(async move {
                    let result = (&mut appending.append).await;
                    if let Some(coordinator) = this.upgrade() {
                        coordinator.remember_commit(&group, appending, &result);
                    }
                    // Sending fails if the client's request was dropped.
                    let _ = done.send(result);
                });
                result.await
            }
        };
        match result {
            Ok(Ok(_)) => {
                self.meters.offset_commits.mark(count);
                Ok(())
            }
            Ok(Err(error)) => {
                debug!(%error, "an offset commit could not be written");
                Err(offset_commit_error(error))
            }
            Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }

    fn remember_commit(&self, group: &Arc<Group>, commit: Appending, result: &Result<Offset, ErrorCode>) {
        let Appending {
            id,
            producer,
            offsets,
            ..
        } = commit;
        self.drive(group, |cell, _| {
            let pending = &mut cell.metadata.offsets;
            let partitions = offsets.iter().map(|(partition, _)| partition);
            match (result, producer) {
                (Ok(base_offset), None) => pending.complete_commit(id, *base_offset, offsets),
                (Err(_), None) => pending.fail_commit(id, partitions),
                (Ok(base_offset), Some(producer)) => {
                    pending.complete_transactional_commit(producer, id, *base_offset, offsets);
                }
                (Err(_), Some(producer)) => pending.fail_transactional_commit(producer, id, partitions),
            }
        });
    }
}

/// Combines the error codes. A partition with too long metadata keeps its own error; the others get `for_all`.
fn combine(codes: Vec<ErrorCode>, for_all: ErrorCode) -> Vec<ErrorCode> {
    codes
        .into_iter()
        .map(|code| if code.is_error() { code } else { for_all })
        .collect()
}

/// The error code for the client when its offsets cannot be written or its transaction cannot be verified.
fn offset_commit_error(error: ErrorCode) -> ErrorCode {
    match error {
        // Older clients do not know NETWORK_EXCEPTION here. On COORDINATOR_LOAD_IN_PROGRESS they retry with the same
        // coordinator.
        ErrorCode::NetworkException => ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge | ErrorCode::InvalidFetchSize => {
            ErrorCode::InvalidCommitOffsetSize
        }
        other => other,
    }
}
