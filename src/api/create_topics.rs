//! CreateTopics (19): creates topics. Kafka 3.9: `KafkaApis.handleCreateTopicsRequest`.

use std::collections::HashMap;
use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::admin::create_topics::CreateTopicOutcome;
use crate::admin::{AdminManager, ConfigEntry, NewTopic};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::topic_name::CLUSTER_METADATA_TOPIC;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::create_topics_request::CreatableTopic;
use crate::protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};

/// Stands for the broker's default, as the number of partitions and as the replication factor.
const UNSET: i16 = -1;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::CreateTopics,
    0..=7,
    &[
        Check::always(
            &[
                Right(AclOperation::Create, Resource::Cluster),
                Right(AclOperation::Create, Resource::Topic),
            ],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::always(
            &[Right(AclOperation::DescribeConfigs, Resource::Topic)],
            Refusal::Hidden,
        ),
    ],
);

/// Creates topics, on the active controller only, and waits for their leaders.
pub async fn handle(api: &Api, _: &RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse {
    respond(&api.admin, api.controller.is_active(), request).await
}

async fn respond(
    admin: &AdminManager,
    is_controller: bool,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times: HashMap<StrBytes, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.0.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    let mut wanted = Vec::new();
    for topic in request.topics {
        let name = topic.name.0.clone();
        let times = times.get(&name).copied().unwrap_or(0);
        let refusal = if !is_controller {
            (ErrorCode::NotController, None)
        } else if &*name == CLUSTER_METADATA_TOPIC {
            (
                ErrorCode::InvalidRequest,
                Some("Creation of internal topic __cluster_metadata is prohibited."),
            )
        } else if times > 1 {
            (
                ErrorCode::InvalidRequest,
                Some("Found multiple entries for this topic."),
            )
        } else {
            wanted.push(new_topic(topic));
            continue;
        };
        results.push(result(name, refusal.0, refusal.1.map(StrBytes::from_static_str)));
    }
    let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let outcomes = admin.create_topics(&wanted, timeout, request.validate_only).await;
    results.extend(outcomes.into_iter().map(outcome_result));
    CreateTopicsResponse::default().with_topics(results)
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.into_iter().map(|a| {
        let replicas = a.broker_ids.into_iter().map(|id| id.0);
        (a.partition_index, replicas.collect())
    });
    let configs = topic.configs.into_iter();
    NewTopic {
        name: topic.name.0.to_string(),
        partitions: Some(topic.num_partitions).filter(|n| *n != i32::from(UNSET)),
        replication_factor: Some(topic.replication_factor).filter(|n| *n != UNSET),
        assignments: assignments.collect(),
        configs: configs
            .map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())))
            .collect(),
    }
}

fn result(name: StrBytes, code: ErrorCode, message: Option<StrBytes>) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(name.into())
        .with_error_code(code.code())
        .with_error_message(message)
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_configs(Some(vec![]))
}

/// The answer about a topic. After an error it has no details, except the id of a topic that was created nevertheless.
fn outcome_result(outcome: CreateTopicOutcome) -> CreatableTopicResult {
    let name = StrBytes::from_string(outcome.name);
    let (code, message) = match outcome.error {
        Some(error) => (error.code, error.message.map(StrBytes::from_string)),
        None => (ErrorCode::None, None),
    };
    let result = result(name, code, message);
    let Some(topic) = outcome.topic else {
        return result;
    };
    let result = result.with_topic_id(topic.topic_id);
    if code.is_error() {
        return result;
    }
    result
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(Some(topic.configs.into_iter().map(config).collect()))
}

fn config(entry: ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::BrokerId;
    use crate::protocol::messages::create_topics_request::{
        CreatableReplicaAssignment, CreatableTopicConfig,
    };

    fn topic(name: &'static str, partitions: i32, factor: i16) -> CreatableTopic {
        CreatableTopic::default()
            .with_name(StrBytes::from_static_str(name).into())
            .with_num_partitions(partitions)
            .with_replication_factor(factor)
    }

    fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
        CreateTopicsRequest::default()
            .with_topics(topics)
            .with_timeout_ms(0)
    }

    fn codes(response: &CreateTopicsResponse) -> Vec<(&str, ErrorCode)> {
        let code = |t: &CreatableTopicResult| ErrorCode::from_code(t.error_code);
        response.topics.iter().map(|t| (&*t.name.0, code(t))).collect()
    }

    fn assert_encodable(response: &CreateTopicsResponse) {
        for version in 0..=7 {
            Response::of(response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }

    #[tokio::test]
    async fn only_the_controller_creates_topics() {
        let world = World::new().await;
        let response = respond(&world.admin, false, request(vec![topic("t", 1, 1)])).await;
        assert_eq!(codes(&response), [("t", ErrorCode::NotController)]);
        assert_eq!(world.znode("/brokers/topics/t"), None);
        assert_encodable(&response);
    }

    #[tokio::test]
    async fn a_request_becomes_topics() {
        let world = World::new().await;
        let assignment = |partition, brokers: [i32; 2]| {
            CreatableReplicaAssignment::default()
                .with_partition_index(partition)
                .with_broker_ids(brokers.map(BrokerId).to_vec())
        };
        let config = CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str("segment.bytes"))
            .with_value(Some(StrBytes::from_static_str("100")));
        let assigned = topic("assigned", -1, -1)
            .with_assignments(vec![assignment(0, [2, 3]), assignment(1, [3, 1])])
            .with_configs(vec![config]);
        let topics = vec![
            topic("twice", 1, 1),
            topic("defaults", -1, -1),
            topic("twice", 1, 1),
            assigned,
            topic("__cluster_metadata", 1, 1),
            topic("a b", 1, 1),
        ];
        let response = respond(&world.admin, true, request(topics)).await;
        assert_eq!(
            codes(&response),
            [
                ("twice", ErrorCode::InvalidRequest),
                ("twice", ErrorCode::InvalidRequest),
                ("__cluster_metadata", ErrorCode::InvalidRequest),
                ("defaults", ErrorCode::RequestTimedOut),
                ("assigned", ErrorCode::RequestTimedOut),
                ("a b", ErrorCode::InvalidTopicException),
            ]
        );
        let created = &response.topics[4];
        let znode = world.topic("assigned").await;
        assert_eq!(Some(created.topic_id), znode.topic_id);
        assert_eq!((created.num_partitions, created.replication_factor), (-1, -1));
        assert_eq!(znode.partitions[&1].replicas, [3, 1]);
        assert_eq!(world.topic("defaults").await.partitions.len(), 1);
        assert!(
            world
                .znode("/config/topics/assigned")
                .unwrap()
                .contains(r#""segment.bytes":"100""#)
        );
        assert_encodable(&response);
    }

    #[tokio::test]
    async fn a_validation_tells_what_would_be() {
        let world = World::new().await;
        let request = request(vec![topic("t", 3, 2)]).with_validate_only(true);
        let response = respond(&world.admin, true, request).await;
        let result = &response.topics[0];
        assert_eq!(
            (
                result.error_code,
                result.num_partitions,
                result.replication_factor
            ),
            (0, 3, 2)
        );
        assert_eq!(result.configs.as_ref().unwrap().len(), 36);
        assert_encodable(&response);
    }
}
