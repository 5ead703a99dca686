//! OffsetDelete, version 0. Kafka 3.9: `KafkaApis.handleOffsetDeleteRequest`.

use std::collections::HashMap;

use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let image = api.metadata.image();
    let requested = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|p| TopicPartition::new(&**topic.name, p.partition_index))
    });
    let existing = requested.filter(|p| image.partition(&p.topic, p.partition).is_some());
    let deleted = match api.groups.delete_offsets(&request.group_id, existing.collect()) {
        Ok(deleted) => deleted,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(error.code()),
    };
    let codes: HashMap<_, _> = deleted.into_iter().collect();
    let topics = request.topics.into_iter().map(|topic| {
        let partition = |index: i32| {
            let code = codes.get(&TopicPartition::new(&**topic.name, index));
            OffsetDeleteResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code.unwrap_or(&ErrorCode::UnknownTopicOrPartition).code())
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|p| partition(p.partition_index))
            .collect();
        OffsetDeleteResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}
