//! OffsetCommit (8): stores the offsets of a group. Kafka 3.9: `KafkaApis.handleOffsetCommitRequest`,
//! `GroupCoordinatorAdapter.commitOffsets`, `KafkaZkClient.setOrCreateConsumerOffset`.
//!
//! Version 0 stores offsets in ZooKeeper, for old consumers (fact 70).

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::partition_codes::{PartitionCodes, last_of_each};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::coordinator::group::OffsetAndMetadata;
use crate::coordinator::group::commit::CommitRequest;
use crate::coordinator::group::log::shared_text;
use crate::protocol::ApiKey;
use crate::protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use crate::protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::{OffsetCommitRequest, OffsetCommitResponse, TopicName};
use crate::zk::recursive::create_recursive;
use crate::zk::znode::consumer_offset;
use crate::zk::{ZkError, ZkStore, paths};

/// Stands for the broker's setting in `retention_time_ms`.
const DEFAULT_RETENTION: i64 = -1;
/// Stands for the time of the request in `commit_timestamp`.
const DEFAULT_TIMESTAMP: i64 = -1;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::OffsetCommit,
    0..=9,
    &[
        Check::always(
            &[Right(AclOperation::Read, Resource::Group)],
            Refusal::AllEntries(ErrorCode::GroupAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::Read, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let snapshot = api.metadata.snapshot();
    let mut codes = PartitionCodes::default();
    let asked = request.topics.iter().flat_map(|topic| {
        let key = |index| TopicPartition::new(&**topic.name, index);
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| (key(partition.partition_index), partition))
    });
    let existing = codes.existing(&snapshot, asked);
    let committed = if existing.is_empty() {
        Vec::new()
    } else if context.api_version == 0 {
        commit_to_zookeeper(&*api.zk, api.config.offset_metadata_max_bytes, &request, existing).await
    } else {
        commit_to_group(api, &request, last_of_each(existing)).await
    };
    codes.extend(committed);
    response(codes)
}

fn response(codes: PartitionCodes) -> OffsetCommitResponse {
    let partition = |(index, code): (i32, ErrorCode)| {
        OffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.code())
    };
    let topics = codes.into_topics().into_iter().map(|(name, partitions)| {
        OffsetCommitResponseTopic::default()
            .with_name(TopicName(name.to_string().into()))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

async fn commit_to_group(
    api: &Api,
    request: &OffsetCommitRequest,
    existing: Vec<(TopicPartition, &OffsetCommitRequestPartition)>,
) -> Vec<(TopicPartition, ErrorCode)> {
    let now_ms = api.clock.wall_ms();
    let partitions: Vec<_> = existing.iter().map(|(key, _)| key.clone()).collect();
    let offset = |partition: &OffsetCommitRequestPartition| {
        offset_and_metadata(partition, request.retention_time_ms, now_ms)
    };
    let commit = CommitRequest {
        group_id: (&**request.group_id).into(),
        member_id: (&*request.member_id).into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        generation_id: request.generation_id_or_member_epoch,
        offsets: existing
            .into_iter()
            .map(|(key, partition)| (key, offset(partition)))
            .collect(),
    };
    partitions
        .into_iter()
        .zip(api.groups.commit_offsets(commit).await)
        .collect()
}

fn offset_and_metadata(
    partition: &OffsetCommitRequestPartition,
    retention_ms: i64,
    now_ms: i64,
) -> OffsetAndMetadata {
    OffsetAndMetadata {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: shared_text(partition.committed_metadata.as_deref().unwrap_or_default()),
        commit_timestamp_ms: match partition.commit_timestamp {
            DEFAULT_TIMESTAMP => now_ms,
            timestamp_ms => timestamp_ms,
        },
        expire_timestamp_ms: match retention_ms {
            DEFAULT_RETENTION => None,
            retention_ms => Some(now_ms.saturating_add(retention_ms)),
        },
    }
}

async fn commit_to_zookeeper(
    zk: &dyn ZkStore,
    metadata_max_size: usize,
    request: &OffsetCommitRequest,
    existing: Vec<(TopicPartition, &OffsetCommitRequestPartition)>,
) -> Vec<(TopicPartition, ErrorCode)> {
    let mut codes = Vec::with_capacity(existing.len());
    for (key, partition) in existing {
        let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
        let code = if metadata.encode_utf16().count() > metadata_max_size {
            ErrorCode::OffsetMetadataTooLarge
        } else {
            match set_consumer_offset(zk, &request.group_id, &key, partition.committed_offset).await {
                Ok(()) => ErrorCode::None,
                Err(error) => zookeeper_error(&request.group_id, &error),
            }
        };
        codes.push((key, code));
    }
    codes
}

/// The code for a client of version 0, which had no better one.
pub(super) fn zookeeper_error(group_id: &str, error: &ZkError) -> ErrorCode {
    tracing::warn!(group = group_id, %error, "cannot reach an offset in ZooKeeper");
    ErrorCode::UnknownServerError
}

async fn set_consumer_offset(
    zk: &dyn ZkStore,
    group_id: &str,
    partition: &TopicPartition,
    offset: i64,
) -> Result<(), ZkError> {
    let path = consumer_offset_path(group_id, partition)?;
    let data = consumer_offset::encode(offset);
    match zk.set(&path, data.clone(), None).await {
        Ok(_) => return Ok(()),
        Err(ZkError::NoNode(_)) => {}
        Err(error) => return Err(error),
    }
    match create_recursive(zk, &path, data.clone()).await {
        // Another commit has created the znode meanwhile; the later commit counts.
        Err(ZkError::NodeExists(_)) => zk.set(&path, data, None).await.map(drop),
        created => created,
    }
}

/// The path of the offset's znode; an error for a group id that cannot be part of a path.
pub(super) fn consumer_offset_path(group_id: &str, partition: &TopicPartition) -> Result<String, ZkError> {
    let is_legal = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.chars().any(|c| c.is_control() || c == '\u{fffe}')
    };
    match group_id.split('/').all(is_legal) {
        true => Ok(paths::consumer_offset(
            group_id,
            &partition.topic,
            partition.partition,
        )),
        false => Err(ZkError::Other(format!("{group_id:?} cannot be part of a path"))),
    }
}

#[cfg(test)]
mod tests;
