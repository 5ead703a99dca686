//! Metadata (3): the brokers, and topics with their leaders, from the cache that the controller fills (fact 71).
//! Kafka 3.9: `KafkaApis.handleTopicMetadataRequest`, `ZkMetadataCache.getTopicMetadata`.
//!
//! All addresses are those of the listener that the client is connected to. A leader without an address on that
//! listener is no leader for the client, and version 0 leaves out replicas without one.

use std::collections::HashSet;

use super::authorized_operations::{NOT_ASKED, ON_CLUSTER, ON_TOPIC};
use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{BrokerId, NO_BROKER, TopicId, TopicName};
use crate::common::topic_name;
use crate::metadata::{MetadataSnapshot, PartitionMetadata};
use crate::protocol::ApiKey;
use crate::protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::messages::{self, MetadataRequest, MetadataResponse};
use crate::protocol::wire_text;

/// First version in which a request may name a topic by its id.
const FIRST_WITH_TOPIC_IDS: i16 = 12;
/// First version with an error of its own for a leader without an address on the listener.
const FIRST_WITH_LISTENER_NOT_FOUND: i16 = 6;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::Metadata,
    0..=12,
    &[
        Check::always(
            &[Right(AclOperation::Describe, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::AllTopics,
            &[Right(AclOperation::Describe, Resource::AnsweredTopic)],
            Refusal::LeftOut,
        ),
        Check::when(
            When::MissingTopic,
            &[
                Right(AclOperation::Create, Resource::Cluster),
                Right(AclOperation::Create, Resource::Topic),
            ],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::ClusterOperations,
            &[Right(AclOperation::Describe, Resource::Cluster)],
            Refusal::Hidden,
        ),
    ],
);

/// Answers one request. Topics that do not exist are created if the request and the configuration allow it.
pub async fn handle(api: &Api, context: &RequestContext, request: MetadataRequest) -> MetadataResponse {
    if let Some(refusal) = refuse(&request, context.api_version) {
        return refusal;
    }
    let snapshot = api.metadata.snapshot();
    let answer = Answer {
        snapshot: &snapshot,
        listener: &context.listener,
        version: context.api_version,
        topic_operations: match request.include_topic_authorized_operations {
            true => ON_TOPIC,
            false => NOT_ASKED,
        },
    };
    let (mut topics, missing) = answer.topics(&request);
    if api.config.auto_create_topics_enable && request.allow_auto_topic_creation {
        let created = api.admin.auto_create(&missing).await;
        topics.extend(created.iter().map(|c| answer.named(&c.topic, c.error)));
    } else {
        topics.extend(missing.iter().map(|name| answer.named(name, why_missing(name))));
    }
    let cluster_operations = match request.include_cluster_authorized_operations {
        true => ON_CLUSTER,
        false => NOT_ASKED,
    };
    MetadataResponse::default()
        .with_brokers(answer.brokers())
        .with_cluster_id(Some(wire_text(&api.cluster_id)))
        .with_controller_id(snapshot.controller_id.unwrap_or(NO_BROKER).into())
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

/// The answer to a request that its version does not allow: INVALID_REQUEST for each topic.
fn refuse(request: &MetadataRequest, version: i16) -> Option<MetadataResponse> {
    let topics = request.topics.as_ref()?;
    if version >= FIRST_WITH_TOPIC_IDS || topics.iter().all(|t| t.name.is_some() && t.topic_id.is_nil()) {
        return None;
    }
    let refused = topics.iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(ErrorCode::InvalidRequest.code())
            .with_name(Some(topic.name.clone().unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    Some(MetadataResponse::default().with_topics(refused.collect()))
}

/// The error of a topic that does not exist and is not created.
fn why_missing(name: &str) -> ErrorCode {
    match topic_name::validate(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    }
}

/// The cluster at one moment, as one client sees it.
struct Answer<'a> {
    snapshot: &'a MetadataSnapshot,
    listener: &'a str,
    version: i16,
    topic_operations: i32,
}

impl Answer<'_> {
    fn brokers(&self) -> Vec<MetadataResponseBroker> {
        let brokers = self.snapshot.brokers.values().filter_map(|broker| {
            let endpoint = broker.endpoint(self.listener)?;
            let broker = MetadataResponseBroker::default()
                .with_node_id(broker.id.into())
                .with_host(wire_text(&endpoint.host))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.as_deref().map(wire_text));
            Some(broker)
        });
        brokers.collect()
    }

    /// The topics of the request, and the names of those that do not exist.
    fn topics(&self, request: &MetadataRequest) -> (Vec<MetadataResponseTopic>, Vec<TopicName>) {
        let asked = match &request.topics {
            // Version 0 has no null list.
            Some(topics) if !topics.is_empty() || self.version > 0 => topics,
            _ => {
                let all = self.snapshot.topics.keys().filter_map(|name| self.topic(name));
                return (all.collect(), vec![]);
            }
        };
        let ids: HashSet<TopicId> = asked
            .iter()
            .map(|t| t.topic_id)
            .filter(|id| !id.is_nil())
            .collect();
        if !ids.is_empty() {
            return (ids.into_iter().map(|id| self.topic_by_id(id)).collect(), vec![]);
        }
        let names: HashSet<&str> = asked
            .iter()
            .filter_map(|t| Some(t.name.as_ref()?.as_str()))
            .collect();
        let mut known = Vec::with_capacity(names.len());
        let mut missing = vec![];
        for name in names {
            match self.topic(name) {
                Some(topic) => known.push(topic),
                None => missing.push(name.into()),
            }
        }
        (known, missing)
    }

    fn topic_by_id(&self, id: TopicId) -> MetadataResponseTopic {
        let name = self.snapshot.topic_names.get(&id);
        name.and_then(|name| self.topic(name)).unwrap_or_else(|| {
            MetadataResponseTopic::default()
                .with_error_code(ErrorCode::UnknownTopicId.code())
                .with_name(None)
                .with_topic_id(id)
        })
    }

    fn topic(&self, name: &str) -> Option<MetadataResponseTopic> {
        let topic = self.snapshot.topics.get(name)?;
        let partitions = topic.partitions.iter();
        let partitions = partitions.map(|(index, partition)| self.partition(*index, partition));
        let partitions = partitions.collect();
        Some(
            self.named(name, ErrorCode::None)
                .with_topic_id(topic.id)
                .with_partitions(partitions),
        )
    }

    /// A topic without partitions.
    fn named(&self, name: &str, error: ErrorCode) -> MetadataResponseTopic {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(wire_text(name).into()))
            .with_is_internal(topic_name::is_internal(name))
            .with_topic_authorized_operations(self.topic_operations)
    }

    fn partition(&self, index: i32, partition: &PartitionMetadata) -> MetadataResponsePartition {
        let leader_and_isr = &partition.state.leader_and_isr;
        let leader = leader_and_isr.leader;
        let replicas = self.visible(&partition.replicas);
        let isr = self.visible(&leader_and_isr.isr);
        let some_hidden = replicas.len() < partition.replicas.len() || isr.len() < leader_and_isr.isr.len();
        let (leader, error) = if self.has_address(leader) {
            let error = if some_hidden {
                ErrorCode::ReplicaNotAvailable
            } else {
                ErrorCode::None
            };
            (leader, error)
        } else if self.snapshot.is_alive(leader) && self.version >= FIRST_WITH_LISTENER_NOT_FOUND {
            (NO_BROKER, ErrorCode::ListenerNotFound)
        } else {
            (NO_BROKER, ErrorCode::LeaderNotAvailable)
        };
        MetadataResponsePartition::default()
            .with_error_code(error.code())
            .with_partition_index(index)
            .with_leader_id(leader.into())
            .with_leader_epoch(leader_and_isr.leader_epoch)
            .with_replica_nodes(replicas)
            .with_isr_nodes(isr)
            .with_offline_replicas(wire_ids(&partition.offline_replicas))
    }

    /// Version 0 leaves out replicas that the client cannot reach.
    fn visible(&self, brokers: &[BrokerId]) -> Vec<messages::BrokerId> {
        let visible = brokers
            .iter()
            .filter(|&&broker| self.version > 0 || self.has_address(broker));
        visible.map(|&broker| broker.into()).collect()
    }

    fn has_address(&self, broker: BrokerId) -> bool {
        let broker = self.snapshot.brokers.get(&broker);
        broker.is_some_and(|broker| broker.endpoint(self.listener).is_some())
    }
}

fn wire_ids(brokers: &[BrokerId]) -> Vec<messages::BrokerId> {
    brokers.iter().map(|&broker| broker.into()).collect()
}

#[cfg(test)]
mod tests;
