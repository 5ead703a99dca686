//! StopReplica (5): the controller stops or deletes replicas of this broker. Kafka 3.9:
//! `KafkaApis.handleStopReplicaRequest`.

use super::broker_epoch::check_broker_epoch;
use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::{NO_LEADER_EPOCH, TopicPartition};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::stop_replica_response::StopReplicaPartitionError;
use crate::protocol::messages::{StopReplicaRequest, StopReplicaResponse};
use crate::replica::{StopPartition, StopReplicaUpdate};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::StopReplica, 0..=4, FROM_BROKERS);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: StopReplicaRequest,
) -> StopReplicaResponse {
    let replicas = &api.replicas;
    let update = update(&request);
    let result = match check_broker_epoch(replicas, ApiKey::StopReplica, request.broker_epoch) {
        Ok(()) => replicas.stop_replicas(update).await,
        Err(error) => Err(error),
    };
    let (error, codes) = match result {
        Ok(codes) => (ErrorCode::None, codes),
        // A request that is refused as a whole gets no entries.
        Err(error) => (error, Vec::new()),
    };
    let partitions = codes.into_iter().map(|(name, code)| {
        StopReplicaPartitionError::default()
            .with_topic_name(StrBytes::from_string(name.topic.to_string()).into())
            .with_partition_index(name.partition)
            .with_error_code(code.code())
    });
    StopReplicaResponse::default()
        .with_error_code(error.code())
        .with_partition_errors(partitions.collect())
}

/// The partitions of the request. Version 0 lists them one by one, versions 1 and 2 by topic, later versions each with
/// its leader epoch and its own flag for deletion.
fn update(request: &StopReplicaRequest) -> StopReplicaUpdate {
    let stop = |topic: &str, partition, leader_epoch, delete| StopPartition {
        topic_partition: TopicPartition::new(topic, partition),
        leader_epoch,
        delete,
    };
    let mut partitions = Vec::new();
    for partition in &request.ungrouped_partitions {
        let (topic, index) = (&partition.topic_name, partition.partition_index);
        partitions.push(stop(topic, index, NO_LEADER_EPOCH, request.delete_partitions));
    }
    for topic in &request.topics {
        let indexes = topic.partition_indexes.iter();
        partitions.extend(indexes.map(|&i| stop(&topic.name, i, NO_LEADER_EPOCH, request.delete_partitions)));
    }
    for topic in &request.topic_states {
        let states = topic.partition_states.iter();
        partitions.extend(states.map(|s| {
            stop(
                &topic.topic_name,
                s.partition_index,
                s.leader_epoch,
                s.delete_partition,
            )
        }));
    }
    StopReplicaUpdate {
        controller_epoch: request.controller_epoch,
        partitions,
    }
}
