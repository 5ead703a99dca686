//! OffsetForLeaderEpoch (23): where an epoch ends on the leader, for consumers that check for truncation.
//! Kafka 3.9: `KafkaApis.handleOffsetForLeaderEpochRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::ApiKey;
use crate::protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use crate::protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::OffsetForLeaderEpoch,
    0..=4,
    &[Check::always(
        &[
            Right(AclOperation::ClusterAction, Resource::Cluster),
            Right(AclOperation::Describe, Resource::Topic),
        ],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let replicas = &api.replicas;
    let snapshot = replicas.metadata().snapshot();
    let topics = request.topics.iter().map(|topic| {
        let name = snapshot.topic_name(&topic.topic);
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = TopicPartition::new(name.clone(), wanted.partition);
            let current = (wanted.current_leader_epoch != -1).then_some(wanted.current_leader_epoch);
            let (error, (epoch, end_offset)) =
                match replicas.end_offset_for_leader_epoch(&partition, current, wanted.leader_epoch) {
                    Ok(end) => (ErrorCode::None, end),
                    Err(error) => (error, (-1, -1)),
                };
            EpochEndOffset::default()
                .with_partition(wanted.partition)
                .with_error_code(error.code())
                .with_leader_epoch(epoch)
                .with_end_offset(end_offset)
        });
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
