//! FindCoordinator (10): the broker that coordinates a group or a transactional id.
//! Kafka 3.9: `KafkaApis.getCoordinator`.
//!
//! The coordinator is the leader of the id's partition of an internal topic. The first request creates the topic.

use tracing::info;

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::admin::AdminManager;
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::config::Endpoint;
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::find_coordinator_response::Coordinator;
use crate::protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

/// First version with several ids.
const FIRST_BATCHED_VERSION: i16 = 4;
/// First version with share groups.
const FIRST_VERSION_WITH_SHARE_GROUPS: i16 = 6;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;

/// A broker and its endpoint for this client.
struct Node {
    id: i32,
    endpoint: Endpoint,
}

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::FindCoordinator,
    0..=6,
    &[
        Check::when(
            When::KeyType(GROUP),
            &[Right(AclOperation::Describe, Resource::Group)],
            Refusal::Entry(ErrorCode::GroupAuthorizationFailed),
        ),
        Check::when(
            When::KeyType(TRANSACTION),
            &[Right(AclOperation::Describe, Resource::TransactionalId)],
            Refusal::Entry(ErrorCode::TransactionalIdAuthorizationFailed),
        ),
        Check::when(
            When::KeyType(SHARE),
            &[Right(AclOperation::ClusterAction, Resource::Cluster)],
            Refusal::Entry(ErrorCode::ClusterAuthorizationFailed),
        ),
    ],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let (version, key_type) = (context.api_version, request.key_type);
    let snapshot = api.metadata.snapshot();
    if version < FIRST_BATCHED_VERSION {
        create_missing_topic(&api.admin, &snapshot, key_type).await;
        return single_response(find(api, context, &snapshot, key_type, &request.key));
    }
    // All keys are of one type, so once is enough.
    if !request.coordinator_keys.is_empty() {
        create_missing_topic(&api.admin, &snapshot, key_type).await;
    }
    let mut coordinators = Vec::with_capacity(request.coordinator_keys.len());
    for key in request.coordinator_keys {
        let found = find(api, context, &snapshot, key_type, &key);
        let coordinator = coordinator(key, found);
        // Only an invalid request gets a message.
        coordinators.push(match key_type {
            GROUP | TRANSACTION | SHARE => coordinator,
            _ => coordinator.with_error_message(Some(message(ErrorCode::InvalidRequest).into())),
        });
    }
    FindCoordinatorResponse::default().with_coordinators(coordinators)
}

/// Creates the internal topic if it does not exist. The client retries and finds it then.
async fn create_missing_topic(admin: &AdminManager, snapshot: &MetadataSnapshot, key_type: i8) {
    let topic = match key_type {
        GROUP => GROUP_METADATA_TOPIC,
        TRANSACTION => TRANSACTION_STATE_TOPIC,
        _ => return,
    };
    if snapshot.topics.contains_key(topic) {
        return;
    }
    for created in admin.auto_create(&[topic.into()]).await {
        if created.error != ErrorCode::LeaderNotAvailable {
            info!(topic, error = %created.error, "the internal topic is not there and cannot be created now");
        }
    }
}

fn find(
    api: &Api,
    context: &RequestContext,
    snapshot: &MetadataSnapshot,
    key_type: i8,
    key: &str,
) -> Result<Node, ErrorCode> {
    let (topic, partition) = match key_type {
        GROUP => (GROUP_METADATA_TOPIC, api.groups.partition_for(key)),
        TRANSACTION => (TRANSACTION_STATE_TOPIC, api.transactions.partition_for(key)),
        SHARE if context.api_version >= FIRST_VERSION_WITH_SHARE_GROUPS => {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        _ => return Err(ErrorCode::InvalidRequest),
    };
    leader(snapshot, topic, partition, &context.listener).ok_or(ErrorCode::CoordinatorNotAvailable)
}

fn leader(snapshot: &MetadataSnapshot, topic: &str, partition: i32, listener: &str) -> Option<Node> {
    let id = snapshot.partition(topic, partition)?.state.leader_and_isr.leader;
    let endpoint = snapshot.brokers.get(&id)?.endpoint(listener)?.clone();
    Some(Node { id, endpoint })
}

/// Kafka's message for a code.
fn message(error: ErrorCode) -> &'static str {
    match error {
        ErrorCode::None => "NONE",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        _ => {
            "This most likely occurs because of a request being malformed by the client library or the message \
             was sent to an incompatible broker. See the broker logs for more details."
        }
    }
}

/// The layout before version 4: one coordinator in the response itself.
fn single_response(found: Result<Node, ErrorCode>) -> FindCoordinatorResponse {
    let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let (id, host, port) = address(found);
    FindCoordinatorResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(message(code).into()))
        .with_node_id(id)
        .with_host(host)
        .with_port(port)
}

fn coordinator(key: StrBytes, found: Result<Node, ErrorCode>) -> Coordinator {
    let code = found.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let (id, host, port) = address(found);
    Coordinator::default()
        .with_key(key)
        .with_error_code(code.code())
        .with_error_message(Some("".into()))
        .with_node_id(id)
        .with_host(host)
        .with_port(port)
}

/// The fields of `Node.noNode()` where there is no coordinator.
fn address(found: Result<Node, ErrorCode>) -> (BrokerId, StrBytes, i32) {
    match found {
        Ok(node) => (
            BrokerId(node.id),
            node.endpoint.host.into(),
            i32::from(node.endpoint.port),
        ),
        Err(_) => (BrokerId(-1), "".into(), -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codec;

    fn node() -> Node {
        Node {
            id: 1,
            endpoint: Endpoint {
                listener: "PLAINTEXT".into(),
                security_protocol: crate::config::SecurityProtocol::Plaintext,
                host: "h".into(),
                port: 9092,
            },
        }
    }

    #[test]
    fn one_coordinator_is_named_as_a_captured_kafka_does() {
        let found = single_response(Ok(node()));
        assert_eq!((found.node_id.0, &*found.host, found.port), (1, "h", 9092));
        assert_eq!(found.error_message.as_deref(), Some("NONE"));
        let missing = single_response(Err(ErrorCode::CoordinatorNotAvailable));
        assert_eq!((missing.node_id.0, &*missing.host, missing.port), (-1, "", -1));
        assert_eq!(
            missing.error_message.as_deref(),
            Some("The coordinator is not available.")
        );
        for version in 0..FIRST_BATCHED_VERSION {
            codec::encode_response(&found, version, 0).unwrap();
        }
    }

    #[test]
    fn many_coordinators_are_named_by_their_keys() {
        let coordinators = vec![
            coordinator("a".into(), Ok(node())),
            coordinator("b".into(), Err(ErrorCode::CoordinatorNotAvailable)),
        ];
        let codes: Vec<_> = coordinators
            .iter()
            .map(|c| (c.key.to_string(), c.error_code, c.node_id.0))
            .collect();
        assert_eq!(codes, [("a".to_string(), 0, 1), ("b".to_string(), 15, -1)]);
        let response = FindCoordinatorResponse::default().with_coordinators(coordinators);
        for version in FIRST_BATCHED_VERSION..=6 {
            codec::encode_response(&response, version, 0).unwrap();
        }
    }
}
