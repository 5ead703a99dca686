//! ListPartitionReassignments (46): the partitions that are being moved (KIP-455).
//! Kafka 3.9: `KafkaApis.handleListPartitionReassignmentsRequest`.

use std::collections::BTreeMap;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::common::leader_and_isr::ReplicaAssignment;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::protocol::messages::{
    self, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::ListPartitionReassignments,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request: for all partitions if it names none. Partitions that are not being reassigned are left out.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let named = request.topics.map(|topics| {
        let of_topic =
            |topic: messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics| {
                let name = TopicName::from(topic.name.as_str());
                topic
                    .partition_indexes
                    .into_iter()
                    .map(move |index| TopicPartition::new(name.clone(), index))
            };
        topics.into_iter().flat_map(of_topic).collect()
    });
    match api.controller.list_partition_reassignments(named).await {
        Ok(reassignments) => response(reassignments),
        Err(error) => ListPartitionReassignmentsResponse::default().with_error_code(error.code()),
    }
}

fn response(
    reassignments: BTreeMap<TopicPartition, ReplicaAssignment>,
) -> ListPartitionReassignmentsResponse {
    let mut topics: BTreeMap<TopicName, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    let wire = |ids: Vec<i32>| ids.into_iter().map(messages::BrokerId::from).collect();
    for (partition, assignment) in reassignments {
        let ongoing = OngoingPartitionReassignment::default()
            .with_partition_index(partition.partition)
            .with_replicas(wire(assignment.replicas))
            .with_adding_replicas(wire(assignment.adding))
            .with_removing_replicas(wire(assignment.removing));
        topics.entry(partition.topic).or_default().push(ongoing);
    }
    let topic = |(name, partitions): (TopicName, Vec<_>)| {
        OngoingTopicReassignment::default()
            .with_name(StrBytes::from_string(name.to_string()).into())
            .with_partitions(partitions)
    };
    ListPartitionReassignmentsResponse::default().with_topics(topics.into_iter().map(topic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_on_the_move_is_listed_with_all_its_replicas() {
        let assignment = ReplicaAssignment {
            replicas: vec![3, 1, 2],
            adding: vec![3],
            removing: vec![1],
        };
        let response = response([(TopicPartition::new("t", 4), assignment)].into());
        let partition = &response.topics[0].partitions[0];
        assert_eq!(
            (response.topics[0].name.as_str(), partition.partition_index),
            ("t", 4)
        );
        assert_eq!(partition.replicas, [3, 1, 2]);
        assert_eq!(
            (&*partition.adding_replicas, &*partition.removing_replicas),
            (&[3.into()][..], &[1.into()][..])
        );
    }
}
