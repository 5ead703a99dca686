//! AlterPartitionReassignments (45): moves partitions to other brokers, or cancels such a move (KIP-455).
//! Kafka 3.9: `KafkaApis.handleAlterPartitionReassignmentsRequest`.

use std::collections::BTreeMap;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::controller::{ReassignmentResult, TargetReplicas};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use crate::protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AlterPartitionReassignments,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers as soon as the reassignments have begun. A broker that is not the controller answers with the
/// error once and for each partition.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let targets = targets(&request);
    let partitions: Vec<_> = targets.keys().cloned().collect();
    match api.controller.alter_partition_reassignments(targets).await {
        Ok(results) => response(ErrorCode::None, results),
        Err(error) => {
            let refused = partitions.into_iter().map(|partition| (partition, (error, None)));
            response(error, refused.collect())
        }
    }
}

/// The wanted replicas of each partition. The last entry of a partition counts.
fn targets(request: &AlterPartitionReassignmentsRequest) -> BTreeMap<TopicPartition, TargetReplicas> {
    let mut targets = BTreeMap::new();
    for topic in &request.topics {
        let name = TopicName::from(topic.name.as_str());
        for partition in &topic.partitions {
            let replicas = partition
                .replicas
                .as_ref()
                .map(|ids| ids.iter().map(|id| id.0).collect());
            targets.insert(
                TopicPartition::new(name.clone(), partition.partition_index),
                replicas,
            );
        }
    }
    targets
}

fn response(error: ErrorCode, results: ReassignmentResult) -> AlterPartitionReassignmentsResponse {
    let mut topics: BTreeMap<TopicName, Vec<ReassignablePartitionResponse>> = BTreeMap::new();
    for (partition, (error, message)) in results {
        let result = ReassignablePartitionResponse::default()
            .with_partition_index(partition.partition)
            .with_error_code(error.code())
            .with_error_message(message.map(StrBytes::from_string));
        topics.entry(partition.topic).or_default().push(result);
    }
    let topic = |(name, partitions): (TopicName, Vec<_>)| {
        ReassignableTopicResponse::default()
            .with_name(StrBytes::from_string(name.to_string()).into())
            .with_partitions(partitions)
    };
    AlterPartitionReassignmentsResponse::default()
        .with_error_code(error.code())
        .with_responses(topics.into_iter().map(topic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::alter_partition_reassignments_request::{
        ReassignablePartition, ReassignableTopic,
    };

    #[test]
    fn a_null_list_of_replicas_cancels() {
        let partition = |index, replicas| {
            ReassignablePartition::default()
                .with_partition_index(index)
                .with_replicas(replicas)
        };
        let topic = ReassignableTopic::default()
            .with_name(StrBytes::from_static_str("t").into())
            .with_partitions(vec![
                partition(0, Some(vec![2.into(), 1.into()])),
                partition(1, None),
            ]);
        let targets = targets(&AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]));
        assert_eq!(targets[&TopicPartition::new("t", 0)], Some(vec![2, 1]));
        assert_eq!(targets[&TopicPartition::new("t", 1)], None);
    }

    #[test]
    fn results_are_grouped_by_topic() {
        let results = [
            (TopicPartition::new("a", 0), (ErrorCode::None, None)),
            (
                TopicPartition::new("b", 0),
                (ErrorCode::InvalidReplicaAssignment, Some("why".to_owned())),
            ),
            (TopicPartition::new("b", 1), (ErrorCode::None, None)),
        ];
        let response = response(ErrorCode::None, results.into());
        let found: Vec<_> = response
            .responses
            .iter()
            .map(|t| (t.name.as_str(), t.partitions.len()))
            .collect();
        assert_eq!(found, [("a", 1), ("b", 2)]);
        assert_eq!(
            response.responses[1].partitions[0].error_message.as_deref(),
            Some("why")
        );
    }
}
