//! LeaveGroup (13): removes members from a group. Kafka 3.9: `KafkaApis.handleLeaveGroupRequest`,
//! `LeaveGroupRequest`, `LeaveGroupResponse`.

use super::declaration::{Declaration, FROM_MEMBERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::coordinator::group::LeavingMember;
use crate::protocol::ApiKey;
use crate::protocol::messages::leave_group_request::MemberIdentity;
use crate::protocol::messages::leave_group_response::MemberResponse;
use crate::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

/// First version with several members.
const FIRST_BATCHED_VERSION: i16 = 3;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::LeaveGroup, 0..=5, FROM_MEMBERS);

/// Answers one request.
pub async fn handle(api: &Api, context: &RequestContext, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let members = match context.api_version {
        ..FIRST_BATCHED_VERSION => vec![MemberIdentity::default().with_member_id(request.member_id.clone())],
        _ => request.members,
    };
    let leaving = |member: &MemberIdentity| LeavingMember {
        member_id: (&*member.member_id).into(),
        group_instance_id: member.group_instance_id.as_deref().map(Into::into),
        reason: member.reason.as_deref().map(Into::into),
    };
    let leaving: Vec<_> = members.iter().map(leaving).collect();
    response(
        api.groups.leave_group(&request.group_id, &leaving),
        members,
        context.api_version,
    )
}

fn response(
    result: Result<Vec<ErrorCode>, ErrorCode>,
    members: Vec<MemberIdentity>,
    version: i16,
) -> LeaveGroupResponse {
    let response = LeaveGroupResponse::default();
    match result {
        Err(error) => response.with_error_code(error.code()),
        Ok(codes) if version < FIRST_BATCHED_VERSION => {
            response.with_error_code(codes.first().map_or(0, |code| code.code()))
        }
        Ok(codes) => {
            let member = |(member, code): (MemberIdentity, ErrorCode)| {
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(code.code())
            };
            response.with_members(members.into_iter().zip(codes).map(member).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_version_3_the_member_s_error_is_the_response_s() {
        let members = || vec![MemberIdentity::default()];
        let unknown = || Ok(vec![ErrorCode::UnknownMemberId]);
        for version in 0..3 {
            let old = response(unknown(), members(), version);
            assert_eq!(
                (old.error_code, old.members.len()),
                (ErrorCode::UnknownMemberId.code(), 0)
            );
        }
        let new = response(unknown(), members(), 3);
        assert_eq!(
            (new.error_code, new.members[0].error_code),
            (0, ErrorCode::UnknownMemberId.code())
        );
        for version in 0..=5 {
            let refused = response(Err(ErrorCode::NotCoordinator), members(), version);
            assert_eq!(refused.error_code, ErrorCode::NotCoordinator.code());
        }
    }
}
