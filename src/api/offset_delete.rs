//! OffsetDelete (47): deletes offsets of a group. Kafka 3.9: `KafkaApis.handleOffsetDeleteRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::partition_codes::{PartitionCodes, last_of_each};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::ApiKey;
use crate::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::OffsetDelete,
    0..=0,
    &[
        Check::always(
            &[Right(AclOperation::Delete, Resource::Group)],
            Refusal::Request(ErrorCode::GroupAuthorizationFailed),
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
    _context: &RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let snapshot = api.metadata.snapshot();
    let mut codes = PartitionCodes::default();
    let asked = request.topics.iter().flat_map(|topic| {
        let key = |index| TopicPartition::new(&**topic.name, index);
        let partitions = topic.partitions.iter();
        partitions.map(move |partition| (key(partition.partition_index), ()))
    });
    let existing = codes.existing(&snapshot, asked);
    let existing = last_of_each(existing).into_iter().map(|(key, ())| key);
    match api.groups.delete_offsets(&request.group_id, existing.collect()) {
        Ok(deleted) => codes.extend(deleted),
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    }
    let partition = |(index, code): (i32, ErrorCode)| {
        OffsetDeleteResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.code())
    };
    let topics = codes.into_topics().into_iter().map(|(name, partitions)| {
        OffsetDeleteResponseTopic::default()
            .with_name(TopicName(name.to_string().into()))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
