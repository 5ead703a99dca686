//! TxnOffsetCommit (28): stores offsets of a group that count when the transaction is committed.
//! Kafka 3.9: `KafkaApis.handleTxnOffsetCommitRequest`, `GroupCoordinatorAdapter.commitTransactionalOffsets`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::partition_codes::{PartitionCodes, last_of_each};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::coordinator::coordinator_log::TransactionalProducer;
use crate::coordinator::group::OffsetAndMetadata;
use crate::coordinator::group::commit::{CommitRequest, TransactionalCommitRequest};
use crate::coordinator::group::log::shared_text;
use crate::protocol::ApiKey;
use crate::protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use crate::protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::protocol::messages::{TopicName, TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use crate::replica::TransactionalOperation;

/// First version whose clients retry after COORDINATOR_LOAD_IN_PROGRESS (KAFKA-7296).
const FIRST_VERSION_WITH_LOAD_IN_PROGRESS: i16 = 2;
/// First version whose clients know TRANSACTION_ABORTABLE.
const FIRST_VERSION_WITH_ABORTABLE: i16 = 4;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::TxnOffsetCommit,
    0..=4,
    &[
        Check::always(
            &[Right(AclOperation::Write, Resource::TransactionalId)],
            Refusal::AllEntries(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
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
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let version = context.api_version;
    let snapshot = api.metadata.snapshot();
    let now_ms = api.clock.wall_ms();
    let mut codes = PartitionCodes::default();
    let asked = request.topics.iter().flat_map(|topic| {
        let key = |index| TopicPartition::new(&**topic.name, index);
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| {
            (
                key(partition.partition_index),
                offset_and_metadata(partition, now_ms),
            )
        })
    });
    let offsets = codes.existing(&snapshot, asked);
    if !offsets.is_empty() {
        codes.extend(commit(api, version, &request, last_of_each(offsets)).await);
    }
    let partition = |(index, code): (i32, ErrorCode)| {
        let code = match code {
            ErrorCode::CoordinatorLoadInProgress if version < FIRST_VERSION_WITH_LOAD_IN_PROGRESS => {
                ErrorCode::CoordinatorNotAvailable
            }
            code => code,
        };
        TxnOffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.code())
    };
    let topics = codes.into_topics().into_iter().map(|(name, partitions)| {
        TxnOffsetCommitResponseTopic::default()
            .with_name(TopicName(name.to_string().into()))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

async fn commit(
    api: &Api,
    version: i16,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
) -> Vec<(TopicPartition, ErrorCode)> {
    let partitions: Vec<_> = offsets.iter().map(|(partition, _)| partition.clone()).collect();
    let request = TransactionalCommitRequest {
        commit: CommitRequest {
            group_id: (&**request.group_id).into(),
            member_id: (&*request.member_id).into(),
            group_instance_id: request.group_instance_id.as_deref().map(Into::into),
            generation_id: request.generation_id,
            offsets,
        },
        producer: TransactionalProducer {
            transactional_id: (&**request.transactional_id).into(),
            producer_id: request.producer_id.0,
            producer_epoch: request.producer_epoch,
            operation: match version {
                FIRST_VERSION_WITH_ABORTABLE.. => TransactionalOperation::GenericError,
                _ => TransactionalOperation::DefaultError,
            },
        },
    };
    let codes = api.groups.commit_transactional_offsets(request).await;
    partitions.into_iter().zip(codes).collect()
}

fn offset_and_metadata(partition: &TxnOffsetCommitRequestPartition, now_ms: i64) -> OffsetAndMetadata {
    OffsetAndMetadata {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: shared_text(partition.committed_metadata.as_deref().unwrap_or_default()),
        commit_timestamp_ms: now_ms,
        expire_timestamp_ms: None,
    }
}
