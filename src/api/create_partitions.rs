//! CreatePartitions (37): adds partitions to topics. Kafka 3.9: `KafkaApis.handleCreatePartitionsRequest`.

use std::collections::HashMap;
use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::admin::{AdminError, AdminManager, NewPartitions};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::TopicName;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::create_partitions_request::CreatePartitionsTopic;
use crate::protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::CreatePartitions,
    0..=3,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Topic)],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    )],
);

/// Adds partitions, on the active controller only, and waits for their leaders.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    respond(&api.admin, api.controller.is_active(), request).await
}

async fn respond(
    admin: &AdminManager,
    is_controller: bool,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut times: HashMap<StrBytes, usize> = HashMap::new();
    for topic in &request.topics {
        *times.entry(topic.name.0.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    let mut wanted = Vec::new();
    for topic in request.topics {
        let name: TopicName = topic.name.0.as_str().into();
        match times.insert(topic.name.0.clone(), 0).unwrap_or(0) {
            // The first entry of the topic has the answer for both.
            0 => {}
            _ if !is_controller => results.push(result(name, Err(ErrorCode::NotController.into()))),
            1 => wanted.push(new_partitions(topic)),
            _ => {
                let message = "Duplicate topic in request.";
                results.push(result(
                    name,
                    Err(AdminError::new(ErrorCode::InvalidRequest, message)),
                ));
            }
        }
    }
    let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let outcomes = admin
        .create_partitions(&wanted, timeout, request.validate_only)
        .await;
    results.extend(
        outcomes
            .into_iter()
            .map(|(topic, outcome)| result(topic, outcome)),
    );
    CreatePartitionsResponse::default().with_results(results)
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let replicas = |a: Vec<_>| {
        a.into_iter()
            .map(|id: crate::protocol::messages::BrokerId| id.0)
            .collect()
    };
    NewPartitions {
        topic: topic.name.0.as_str().into(),
        count: topic.count,
        assignments: topic
            .assignments
            .map(|list| list.into_iter().map(|a| replicas(a.broker_ids)).collect()),
    }
}

fn result(topic: TopicName, outcome: Result<(), AdminError>) -> CreatePartitionsTopicResult {
    let (code, message) = match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(error) => (error.code, error.message.map(StrBytes::from_string)),
    };
    CreatePartitionsTopicResult::default()
        .with_name(StrBytes::from_string(topic.to_string()).into())
        .with_error_code(code.code())
        .with_error_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::BrokerId;
    use crate::protocol::messages::create_partitions_request::CreatePartitionsAssignment;

    fn topic(name: &'static str, count: i32) -> CreatePartitionsTopic {
        CreatePartitionsTopic::default()
            .with_name(StrBytes::from_static_str(name).into())
            .with_count(count)
            .with_assignments(None)
    }

    #[tokio::test]
    async fn a_request_becomes_partitions() {
        let world = World::new().await;
        world.topic_exists("t").await;
        world.topic_exists("u").await;
        let assignment = CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(3)]);
        let topics = vec![
            topic("t", 2).with_assignments(Some(vec![assignment])),
            topic("u", 2),
            topic("u", 2),
            topic("none", 2),
        ];
        let request = CreatePartitionsRequest::default().with_topics(topics);
        let refused = respond(&world.admin, false, request.clone()).await;
        assert_eq!(refused.results.len(), 3);
        assert!(
            refused
                .results
                .iter()
                .all(|r| r.error_code == ErrorCode::NotController.code())
        );
        let response = respond(&world.admin, true, request).await;
        let codes: Vec<_> = response
            .results
            .iter()
            .map(|r| (&*r.name.0, ErrorCode::from_code(r.error_code)))
            .collect();
        assert_eq!(
            codes,
            [
                ("u", ErrorCode::InvalidRequest),
                ("t", ErrorCode::RequestTimedOut),
                ("none", ErrorCode::UnknownTopicOrPartition),
            ]
        );
        assert_eq!(world.topic("t").await.partitions[&1].replicas, [3]);
        assert_eq!(world.topic("u").await.partitions.len(), 1);
        for version in 0..=3 {
            Response::of(&response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }
}
