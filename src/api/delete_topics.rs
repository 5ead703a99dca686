//! DeleteTopics (20): deletes topics by name, from version 6 on also by id. Kafka 3.9:
//! `KafkaApis.handleDeleteTopicsRequest`.

use std::collections::HashMap;
use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::admin::AdminManager;
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::{TopicId, TopicName};
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::delete_topics_request::DeleteTopicState;
use crate::protocol::messages::delete_topics_response::DeletableTopicResult;
use crate::protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DeleteTopics,
    0..=6,
    &[
        Check::when(
            When::ById,
            &[Right(AclOperation::Describe, Resource::Topic)],
            Refusal::Hidden,
        ),
        Check::always(
            &[Right(AclOperation::Delete, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
    ],
);

/// Deletes topics, on the active controller only, and waits until they are gone.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let disabled = match context.api_version {
        _ if api.config.delete_topic_enable => None,
        0..=2 => Some(ErrorCode::InvalidRequest),
        _ => Some(ErrorCode::TopicDeletionDisabled),
    };
    let refusal = match api.controller.is_active() {
        true => disabled,
        false => Some(ErrorCode::NotController),
    };
    respond(&api.admin, &api.metadata.snapshot(), refusal, request).await
}

/// `refusal` is the error for every topic, if there is one.
async fn respond(
    admin: &AdminManager,
    snapshot: &MetadataSnapshot,
    refusal: Option<ErrorCode>,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = request.topic_names.into_iter();
    let by_name = by_name.map(|name| DeleteTopicState::default().with_name(Some(name)));
    let mut results = Vec::new();
    let mut wanted: Vec<TopicName> = Vec::new();
    for topic in request.topics.into_iter().chain(by_name) {
        let mut result = DeletableTopicResult::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id);
        let verdict = match refusal {
            Some(refusal) => Err(refusal),
            None => resolve(snapshot, &topic),
        };
        match verdict {
            Ok(name) => {
                result.name = Some(StrBytes::from_string(name.to_string()).into());
                wanted.push(name);
            }
            Err(code) => result.error_code = code.code(),
        }
        results.push(result);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let outcomes: HashMap<TopicName, _> = admin.delete_topics(&wanted, timeout).await.into_iter().collect();
    for result in results
        .iter_mut()
        .filter(|r| r.error_code == ErrorCode::None.code())
    {
        let outcome = result.name.as_ref().and_then(|name| outcomes.get(&*name.0));
        if let Some(Err(error)) = outcome {
            result.error_code = error.code.code();
            result.error_message = error.message.clone().map(StrBytes::from_string);
        }
    }
    DeleteTopicsResponse::default().with_responses(results)
}

fn resolve(snapshot: &MetadataSnapshot, topic: &DeleteTopicState) -> Result<TopicName, ErrorCode> {
    let id: TopicId = topic.topic_id;
    match &topic.name {
        Some(_) if !id.is_nil() => Err(ErrorCode::InvalidRequest),
        Some(name) => match snapshot.topics.get_key_value(&*name.0) {
            Some((name, _)) => Ok(name.clone()),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        },
        // Kafka checks the right to delete a topic with an empty name.
        None if id.is_nil() => Err(ErrorCode::TopicAuthorizationFailed),
        None => snapshot
            .topic_names
            .get(&id)
            .cloned()
            .ok_or(ErrorCode::UnknownTopicId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::TopicName as WireTopicName;

    fn wire(name: &'static str) -> WireTopicName {
        StrBytes::from_static_str(name).into()
    }

    fn codes(response: &DeleteTopicsResponse) -> Vec<ErrorCode> {
        response
            .responses
            .iter()
            .map(|r| ErrorCode::from_code(r.error_code))
            .collect()
    }

    #[tokio::test]
    async fn topics_are_deleted_by_name() {
        let world = World::new().await;
        world.topic_exists("t").await;
        let request = DeleteTopicsRequest::default().with_topic_names(vec![wire("t"), wire("none")]);
        let snapshot = world.metadata.snapshot();
        let refused = respond(
            &world.admin,
            &snapshot,
            Some(ErrorCode::NotController),
            request.clone(),
        )
        .await;
        assert_eq!(codes(&refused), [ErrorCode::NotController; 2]);
        assert_eq!(world.znode("/admin/delete_topics/t"), None);
        let response = respond(&world.admin, &snapshot, None, request).await;
        assert_eq!(
            codes(&response),
            [ErrorCode::RequestTimedOut, ErrorCode::UnknownTopicOrPartition]
        );
        assert!(world.znode("/admin/delete_topics/t").is_some());
        for version in 0..=5 {
            Response::of(&response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }

    #[tokio::test]
    async fn topics_are_deleted_by_id() {
        let world = World::new().await;
        world.topic_exists("t").await;
        let snapshot = world.metadata.snapshot();
        let id = snapshot.topic_id("t");
        let by_id = |id| DeleteTopicState::default().with_name(None).with_topic_id(id);
        let topics = vec![
            by_id(id),
            by_id(TopicId::from_u128(9)),
            by_id(id).with_name(Some(wire("t"))),
            DeleteTopicState::default().with_name(Some(wire("t"))),
        ];
        let request = DeleteTopicsRequest::default().with_topics(topics);
        let response = respond(&world.admin, &snapshot, None, request).await;
        assert_eq!(
            codes(&response),
            [
                ErrorCode::RequestTimedOut,
                ErrorCode::UnknownTopicId,
                ErrorCode::InvalidRequest,
                ErrorCode::RequestTimedOut,
            ]
        );
        assert_eq!(response.responses[0].name, Some(wire("t")));
        assert_eq!(response.responses[0].topic_id, id);
        Response::of(&response, 6, 1).unwrap();
    }
}
