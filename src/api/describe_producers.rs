//! DescribeProducers (61): the producers of a partition and their open transactions.
//! Kafka 3.9: `KafkaApis.handleDescribeProducersRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::common::topic_name;
use crate::log::ActiveProducer;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use crate::protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, ProducerId as WireProducerId,
};

/// Kafka's message for an unknown topic, the only one of these errors with a message.
const UNKNOWN_TOPIC: &str = "This server does not host this topic-partition.";
/// No transaction is open.
const NO_OFFSET: i64 = -1;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeProducers,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Read, Resource::Topic)],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let snapshot = api.metadata.snapshot();
    let topics = request.topics.into_iter().map(|topic| {
        let refused = match topic_name::validate(&topic.name) {
            Err(reason) => Some((
                ErrorCode::InvalidTopicException,
                Some(StrBytes::from_string(reason)),
            )),
            Ok(()) if !snapshot.topics.contains_key(&**topic.name) => {
                let message = StrBytes::from_static_str(UNKNOWN_TOPIC);
                Some((ErrorCode::UnknownTopicOrPartition, Some(message)))
            }
            Ok(()) => None,
        };
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let response = PartitionResponse::default().with_partition_index(index);
            if let Some((code, message)) = &refused {
                return response
                    .with_error_code(code.code())
                    .with_error_message(message.clone());
            }
            match active_producers(api, &TopicPartition::new(&**topic.name, index)) {
                Ok(producers) => {
                    response.with_active_producers(producers.into_iter().map(producer_state).collect())
                }
                Err(code) => response.with_error_code(code.code()),
            }
        });
        TopicResponse::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

/// The producers of a replica on this broker, leader or follower: a client asks a follower to compare the two.
fn active_producers(api: &Api, name: &TopicPartition) -> Result<Vec<ActiveProducer>, ErrorCode> {
    let log = api.replicas.partition(name)?.log();
    Ok(log.ok_or(ErrorCode::NotLeaderOrFollower)?.active_producers())
}

fn producer_state(producer: ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(WireProducerId(producer.producer_id))
        .with_producer_epoch(i32::from(producer.producer_epoch))
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_first_offset.unwrap_or(NO_OFFSET))
}
