//! Heartbeat (12): keeps a member in its group. Kafka 3.9: `KafkaApis.handleHeartbeatRequest`.

use super::declaration::{Declaration, FROM_MEMBERS};
use super::{Api, RequestContext};
use crate::protocol::ApiKey;
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::Heartbeat, 0..=4, FROM_MEMBERS);

/// Answers one request.
pub async fn handle(api: &Api, _context: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
    let error = api.groups.heartbeat(
        &request.group_id,
        &request.member_id,
        request.group_instance_id.as_deref(),
        request.generation_id,
    );
    HeartbeatResponse::default().with_error_code(error.code())
}
