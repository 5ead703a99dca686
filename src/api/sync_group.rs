//! SyncGroup (14): hands each member its part of the group's assignment. Kafka 3.9:
//! `KafkaApis.handleSyncGroupRequest`, `GroupCoordinatorAdapter.syncGroup`.

use bytes::Bytes;

use super::declaration::{Declaration, FROM_MEMBERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::coordinator::group::{SyncRequest, SyncResult};
use crate::protocol::ApiKey;
use crate::protocol::messages::{SyncGroupRequest, SyncGroupResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::SyncGroup, 0..=5, FROM_MEMBERS);

/// Answers one request. The members wait until their leader has sent the assignment.
pub async fn handle(api: &Api, context: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
    // From version 5 on a client must name the protocol.
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if context.api_version >= 5 && !names_protocol {
        return response(SyncResult::error(ErrorCode::InconsistentGroupProtocol));
    }
    let assignments = request.assignments.iter().map(|member| {
        let assignment = Bytes::copy_from_slice(&member.assignment);
        ((&*member.member_id).into(), assignment)
    });
    let sync = SyncRequest {
        generation_id: request.generation_id,
        member_id: (&*request.member_id).into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        protocol_type: request.protocol_type.as_deref().map(Into::into),
        protocol_name: request.protocol_name.as_deref().map(Into::into),
        assignments: assignments.collect(),
    };
    response(api.groups.sync_group(&request.group_id, sync).await)
}

fn response(result: SyncResult) -> SyncGroupResponse {
    SyncGroupResponse::default()
        .with_error_code(result.error.code())
        .with_protocol_type(result.protocol_type.map(|t| t.to_string().into()))
        .with_protocol_name(result.protocol_name.map(|name| name.to_string().into()))
        .with_assignment(result.assignment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::codec;

    #[test]
    fn an_assignment_is_told_in_every_version() {
        for version in 0..=5 {
            let result = SyncResult {
                error: ErrorCode::None,
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                assignment: Bytes::from_static(b"x"),
            };
            codec::encode_response(&response(result), version, 0).unwrap();
            let refused = response(SyncResult::error(ErrorCode::RebalanceInProgress));
            codec::encode_response(&refused, version, 0).unwrap();
        }
    }
}
