//! ConsumerGroupHeartbeat (68): keeps a member in a group of the consumer protocol (KIP-848). It needs a KRaft cluster.
//! Kafka 3.9: `KafkaApis.handleConsumerGroupHeartbeat`.

use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::ConsumerGroupHeartbeat, 0..=0, &[]);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    _: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code())
}
