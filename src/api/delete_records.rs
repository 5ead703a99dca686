//! DeleteRecords (21): moves the start of logs forward. Kafka 3.9: `KafkaApis.handleDeleteRecordsRequest`.

use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::ApiKey;
use crate::protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use crate::protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use crate::replica::DeleteRecordsResult;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DeleteRecords,
    0..=2,
    &[Check::always(
        &[Right(AclOperation::Delete, Resource::Topic)],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let replicas = &api.replicas;
    let snapshot = replicas.metadata().snapshot();
    let (mut wanted, mut unknown) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        let name = snapshot.topic_name(&topic.name);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            match snapshot.partition(&name, index) {
                Some(_) => wanted.push((TopicPartition::new(name.clone(), index), partition.offset)),
                None => unknown.push((
                    TopicPartition::new(name.clone(), index),
                    DeleteRecordsResult::from(ErrorCode::UnknownTopicOrPartition),
                )),
            }
        }
    }
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let mut results = replicas.delete_records(timeout, wanted).await;
    results.extend(unknown);
    let topics = request.topics.into_iter().map(|topic| {
        let of_topic = results.iter().filter(|(name, _)| *name.topic == **topic.name);
        let partitions = of_topic.map(|(name, result)| {
            DeleteRecordsPartitionResult::default()
                .with_partition_index(name.partition)
                .with_low_watermark(result.low_watermark)
                .with_error_code(result.error.code())
        });
        DeleteRecordsTopicResult::default()
            .with_partitions(partitions.collect())
            .with_name(topic.name)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
