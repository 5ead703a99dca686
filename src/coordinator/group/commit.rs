//! OffsetCommit: written to `__consumer_offsets`, then remembered. Kafka 3.9: `GroupMetadataManager` (`storeOffsets`).

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tracing::{debug, error};

use super::coordinator::{ALL_IN_SYNC, Group, GroupCell, GroupCoordinator};
use super::effect::Now;
use super::log::{self, LogFormatError};
use super::offsets::{CommitId, OffsetAndMetadata};
use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicPartition};

/// An OffsetCommit, independent of its version.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of OffsetCommitRequest")]
pub struct CommitRequest {
    pub group_id: Arc<str>,
    /// Empty for a client that is no member.
    pub member_id: Arc<str>,
    pub group_instance_id: Option<Arc<str>>,
    /// -1 for a client that is no member.
    pub generation_id: i32,
    pub offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
}

/// A commit on its way into the log.
struct Appending {
    id: CommitId,
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    append: BoxFuture<'static, Result<Offset, ErrorCode>>,
}

impl GroupCoordinator {
    /// OffsetCommit: a code for each partition, in the order of the request.
    pub async fn commit_offsets(&self, request: CommitRequest) -> Vec<ErrorCode> {
        let codes: Vec<_> = request
            .offsets
            .iter()
            .map(|(_, offset)| match self.is_metadata_too_large(offset) {
                true => ErrorCode::OffsetMetadataTooLarge,
                false => ErrorCode::None,
            })
            .collect();
        let for_all = self.try_commit(request).await.err().unwrap_or(ErrorCode::None);
        codes
            .into_iter()
            .map(|code| if code.is_error() { code } else { for_all })
            .collect()
    }

    /// Offsets with too long a note are left out; the error of the others is the same for all.
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
            self.begin_commit(&group, cell, request.offsets, now)
        })?;
        match appending {
            Some(appending) => self.finish_commit(group, appending).await,
            None => Ok(()),
        }
    }

    /// `offset.metadata.max.bytes` counts as Java's `String.length` does.
    fn is_metadata_too_large(&self, offset: &OffsetAndMetadata) -> bool {
        let limit = self.config.offset_metadata_max_size;
        // A text never has more UTF-16 units than bytes.
        offset.metadata.len() > limit && offset.metadata.encode_utf16().count() > limit
    }

    fn begin_commit(
        &self,
        group: &Group,
        cell: &mut GroupCell,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
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
        let id = cell
            .metadata
            .offsets
            .begin_commit(offsets.iter().map(|(partition, _)| partition));
        let append = self
            .log
            .append(group.partition, self.batch(&records, now), ALL_IN_SYNC);
        Ok(Some(Appending { id, offsets, append }))
    }

    /// Waits for the replicas. In a task of its own: should the client's request be dropped meanwhile, the offset is
    /// in the log nevertheless and must be remembered.
    async fn finish_commit(&self, group: Arc<Group>, appending: Appending) -> Result<(), ErrorCode> {
        let Appending { id, offsets, append } = appending;
        let this = self.handle();
        let (done, result) = oneshot::channel();
        self.spawn(async move {
            let result = append.await;
            if let Some(coordinator) = this.upgrade() {
                coordinator.drive(&group, |cell, _| match &result {
                    Ok(base_offset) => cell.metadata.offsets.complete_commit(id, *base_offset, offsets),
                    Err(_) => {
                        let partitions = offsets.iter().map(|(partition, _)| partition);
                        cell.metadata.offsets.fail_commit(id, partitions);
                    }
                });
            }
            // Nobody waits any more: see above.
            let _ = done.send(result);
        });
        match result.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                debug!(%error, "an offset commit could not be written");
                Err(offset_commit_error(error))
            }
            Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
        }
    }
}

/// What a client is told when its offsets could not be written.
fn offset_commit_error(error: ErrorCode) -> ErrorCode {
    match error {
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
