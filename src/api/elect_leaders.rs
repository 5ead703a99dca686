//! ElectLeaders (43): elects the preferred leader of a partition, or any leader (KIP-183, KIP-460).
//! Kafka 3.9: `KafkaApis.handleElectLeaders`, `DelayedElectLeader`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicName, TopicPartition};
use crate::controller::{ElectionResults, ElectionType};
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use crate::protocol::messages::{ElectLeadersRequest, ElectLeadersResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::ElectLeaders,
    0..=2,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::RequestAndEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Asks the controller module of this broker, and waits until this broker has heard of the new leaders.
pub async fn handle(api: &Api, _: &RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let election = match request.election_type {
        0 => ElectionType::Preferred,
        1 => ElectionType::Unclean,
        // Kafka refuses the whole request when it does not know the type of election.
        _ => return refuse_all(&request, ErrorCode::UnknownServerError),
    };
    let snapshot = api.metadata.snapshot();
    let partitions = wanted_partitions(&snapshot, &request);
    let answer = api
        .controller
        .elect_leaders(Some(partitions.clone()), election)
        .await;
    let mut results = answer.unwrap_or_else(|error| {
        let refused = partitions.into_iter().map(|p| (p, Err((error, None))));
        refused.collect()
    });

    let topics: Vec<_> = elected(&results).map(|(p, _)| p.topic.clone()).collect();
    let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
    api.admin
        .wait_for(&topics, timeout, |snapshot, topic| {
            elected(&results).all(|(p, leader)| &*p.topic != topic || leads(snapshot, p, leader))
        })
        .await;
    let snapshot = api.metadata.snapshot();
    for (partition, result) in &mut results {
        if let Ok(leader) = *result
            && !leads(&snapshot, partition, leader)
        {
            *result = Err((ErrorCode::RequestTimedOut, None));
        }
    }
    if request.topic_partitions.is_none() {
        // A request for all partitions gets no entry for those that need no election.
        results.retain(|_, result| !matches!(result, Err((ErrorCode::ElectionNotNeeded, _))));
    }
    ElectLeadersResponse::default().with_replica_election_results(by_topic(results))
}

/// The same error for the request and for each partition that it names.
fn refuse_all(request: &ElectLeadersRequest, error: ErrorCode) -> ElectLeadersResponse {
    let topics = request.topic_partitions.iter().flatten().map(|topic| {
        let refused = topic.partitions.iter().map(|&partition| {
            PartitionResult::default()
                .with_partition_id(partition)
                .with_error_code(error.code())
                .with_error_message(None)
        });
        ReplicaElectionResult::default()
            .with_topic(topic.topic.clone())
            .with_partition_result(refused.collect())
    });
    ElectLeadersResponse::default()
        .with_error_code(error.code())
        .with_replica_election_results(topics.collect())
}

fn wanted_partitions(snapshot: &MetadataSnapshot, request: &ElectLeadersRequest) -> Vec<TopicPartition> {
    let Some(topics) = &request.topic_partitions else {
        let of_topic = |(name, topic): (&TopicName, &std::sync::Arc<crate::metadata::TopicMetadata>)| {
            let name = name.clone();
            let indexes: Vec<_> = topic.partitions.keys().copied().collect();
            indexes
                .into_iter()
                .map(move |index| TopicPartition::new(name.clone(), index))
        };
        return snapshot.topics.iter().flat_map(of_topic).collect();
    };
    let mut partitions = Vec::new();
    for topic in topics {
        let name = TopicName::from(topic.topic.as_str());
        partitions.extend(
            topic
                .partitions
                .iter()
                .map(|&index| TopicPartition::new(name.clone(), index)),
        );
    }
    partitions
}

fn elected(results: &ElectionResults) -> impl Iterator<Item = (&TopicPartition, i32)> {
    results
        .iter()
        .filter_map(|(partition, result)| Some((partition, *result.as_ref().ok()?)))
}

fn leads(snapshot: &MetadataSnapshot, partition: &TopicPartition, leader: i32) -> bool {
    let known = snapshot.partition(&partition.topic, partition.partition);
    known.is_some_and(|p| p.state.leader_and_isr.leader == leader)
}

fn by_topic(results: ElectionResults) -> Vec<ReplicaElectionResult> {
    let mut topics: BTreeMap<TopicName, Vec<PartitionResult>> = BTreeMap::new();
    for (partition, result) in results {
        let (error, message) = result.err().unwrap_or((ErrorCode::None, None));
        let result = PartitionResult::default()
            .with_partition_id(partition.partition)
            .with_error_code(error.code())
            .with_error_message(message.map(StrBytes::from_string));
        topics.entry(partition.topic).or_default().push(result);
    }
    let topic = |(name, partitions): (TopicName, Vec<PartitionResult>)| {
        ReplicaElectionResult::default()
            .with_topic(StrBytes::from_string(name.to_string()).into())
            .with_partition_result(partitions)
    };
    topics.into_iter().map(topic).collect()
}
