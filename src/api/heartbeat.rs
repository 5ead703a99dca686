//! Heartbeat, versions 0 to 4. Kafka 3.9: `KafkaApis.handleHeartbeatRequest`.

use super::{Api, RequestContext};
use crate::protocol::messages::{HeartbeatRequest, HeartbeatResponse};

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
