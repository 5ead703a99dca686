//! ListOffsets (2): the offset of a partition at a time. Kafka 3.9: `KafkaApis.handleListOffsetRequest`.

use std::collections::HashSet;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::log::FetchIsolation;
use crate::protocol::ApiKey;
use crate::protocol::messages::list_offsets_request::ListOffsetsPartition;
use crate::protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use crate::protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use crate::replica::ReplicaManager;
use crate::replica::list_offsets::{
    EARLIEST_LOCAL_TIMESTAMP, EARLIEST_TIMESTAMP, LATEST_TIERED_TIMESTAMP, LATEST_TIMESTAMP, MAX_TIMESTAMP,
    OffsetQuery,
};

/// Up to this version clients know LEADER_NOT_AVAILABLE in place of OFFSET_NOT_AVAILABLE.
const LAST_VERSION_WITHOUT_OFFSET_NOT_AVAILABLE: i16 = 4;
const READ_UNCOMMITTED: i8 = 0;
const READ_COMMITTED: i8 = 1;
const CONSUMER: i32 = -1;
/// The replica id of a consumer that reads from followers too.
const DEBUGGING_CONSUMER: i32 = -2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::ListOffsets,
    0..=9,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Topic)],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let replicas = &api.replicas;
    let (version, request) = (context.api_version, &request);
    let snapshot = replicas.metadata().snapshot();
    let mut seen = HashSet::new();
    let mut duplicates = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.as_str(), partition.partition_index);
            if !seen.insert(key) {
                duplicates.insert(key);
            }
        }
    }
    let topics = request.topics.iter().map(|topic| {
        let name = snapshot.topic_name(&topic.name);
        let partitions = topic.partitions.iter().map(|wanted| {
            let response =
                ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            if version > 0 && duplicates.contains(&(topic.name.as_str(), wanted.partition_index)) {
                return failed(response, ErrorCode::InvalidRequest);
            }
            if !knows_timestamp(version, wanted.timestamp) {
                return failed(response, ErrorCode::UnsupportedVersion);
            }
            let partition = TopicPartition::new(name.clone(), wanted.partition_index);
            let is_from_consumer = request.replica_id.0 == CONSUMER;
            if is_from_consumer && !matches!(request.isolation_level, READ_UNCOMMITTED | READ_COMMITTED) {
                return failed(response, ErrorCode::UnknownServerError);
            }
            match version {
                0 => legacy(replicas, request, &partition, wanted, response),
                _ => by_timestamp(replicas, version, request, &partition, wanted, response),
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn query(request: &ListOffsetsRequest, wanted: &ListOffsetsPartition) -> OffsetQuery {
    let replica_id = request.replica_id.0;
    OffsetQuery {
        isolation: match request.isolation_level {
            _ if replica_id != CONSUMER => FetchIsolation::LogEnd,
            READ_COMMITTED => FetchIsolation::TxnCommitted,
            _ => FetchIsolation::HighWatermark,
        },
        current_leader_epoch: (wanted.current_leader_epoch != -1).then_some(wanted.current_leader_epoch),
        fetch_only_leader: replica_id != DEBUGGING_CONSUMER,
    }
}

/// Whether the version has a timestamp. Negative timestamps have meanings, and each version has more of them.
fn knows_timestamp(version: i16, timestamp: i64) -> bool {
    match timestamp {
        0.. | LATEST_TIMESTAMP | EARLIEST_TIMESTAMP => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL_TIMESTAMP => version >= 8,
        LATEST_TIERED_TIMESTAMP => version >= 9,
        _ => false,
    }
}

fn failed(response: ListOffsetsPartitionResponse, error: ErrorCode) -> ListOffsetsPartitionResponse {
    response
        .with_error_code(error.code())
        .with_timestamp(-1)
        .with_offset(-1)
}

fn by_timestamp(
    replicas: &ReplicaManager,
    version: i16,
    request: &ListOffsetsRequest,
    partition: &TopicPartition,
    wanted: &ListOffsetsPartition,
    response: ListOffsetsPartitionResponse,
) -> ListOffsetsPartitionResponse {
    match replicas.offset_for_timestamp(partition, wanted.timestamp, query(request, wanted)) {
        Ok(Some(found)) => {
            let response = response.with_timestamp(found.timestamp).with_offset(found.offset);
            if version >= 4 {
                response.with_leader_epoch(found.leader_epoch)
            } else {
                response
            }
        }
        Ok(None) => response.with_timestamp(-1).with_offset(-1),
        Err(ErrorCode::OffsetNotAvailable) if version <= LAST_VERSION_WITHOUT_OFFSET_NOT_AVAILABLE => {
            failed(response, ErrorCode::LeaderNotAvailable)
        }
        Err(error) => failed(response, error),
    }
}

/// Version 0 answers with a list of segments' base offsets instead of a timestamp and an offset.
fn legacy(
    replicas: &ReplicaManager,
    request: &ListOffsetsRequest,
    partition: &TopicPartition,
    wanted: &ListOffsetsPartition,
    response: ListOffsetsPartitionResponse,
) -> ListOffsetsPartitionResponse {
    let Ok(max_offsets) = usize::try_from(wanted.max_num_offsets) else {
        return response.with_error_code(ErrorCode::UnknownServerError.code());
    };
    match replicas.legacy_offsets_before(partition, wanted.timestamp, max_offsets, query(request, wanted)) {
        Ok(offsets) => response.with_old_style_offsets(offsets),
        Err(error) => response.with_error_code(error.code()),
    }
}
