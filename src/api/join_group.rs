//! JoinGroup (11): takes a member into the next generation of a group. Kafka 3.9:
//! `KafkaApis.handleJoinGroupRequest`, `GroupCoordinatorAdapter.joinGroup`.

use std::net::IpAddr;

use bytes::Bytes;
use uuid::Uuid;

use super::declaration::{Declaration, FROM_MEMBERS};
use super::{Api, RequestContext};
use crate::coordinator::group::{JoinRequest, JoinResult, JoinedMember, Protocol};
use crate::protocol::ApiKey;
use crate::protocol::messages::join_group_response::JoinGroupResponseMember;
use crate::protocol::messages::{JoinGroupRequest, JoinGroupResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::JoinGroup, 0..=9, FROM_MEMBERS);

/// Answers one request. The answer may wait until the group's rebalance ends.
pub async fn handle(api: &Api, context: &RequestContext, request: JoinGroupRequest) -> JoinGroupResponse {
    let version = context.api_version;
    let group_id = request.group_id.to_string();
    let result = api
        .groups
        .join_group(&group_id, join_request(context, request))
        .await;
    response(result, version)
}

/// Texts and metadata are copied, because a group must not keep whole request frames in memory.
fn join_request(context: &RequestContext, request: JoinGroupRequest) -> JoinRequest {
    let version = context.api_version;
    let protocols = request.protocols.iter().map(|protocol| Protocol {
        name: (&*protocol.name).into(),
        metadata: Bytes::copy_from_slice(&protocol.metadata),
    });
    JoinRequest {
        member_id: (&*request.member_id).into(),
        group_instance_id: request.group_instance_id.as_deref().map(Into::into),
        require_known_member_id: version >= 4 && request.group_instance_id.is_none(),
        supports_skipping_assignment: version >= 9,
        client_id: context.client_id.as_str().into(),
        client_host: java_address(context.peer.ip()).into(),
        // Version 0 has one timeout only.
        rebalance_timeout_ms: match version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        },
        session_timeout_ms: request.session_timeout_ms,
        protocol_type: (&*request.protocol_type).into(),
        protocols: protocols.collect(),
        reason: request.reason.as_deref().map(Into::into),
        uuid: Uuid::new_v4(),
    }
}

/// An address as Java's `InetAddress` prints one without a name: `/127.0.0.1`, `/0:0:0:0:0:0:0:1`.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("/{v4}"),
        IpAddr::V6(v6) => {
            let groups: Vec<_> = v6.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

fn response(result: JoinResult, version: i16) -> JoinGroupResponse {
    let member = |member: JoinedMember| {
        JoinGroupResponseMember::default()
            .with_member_id(member.member_id.to_string().into())
            .with_group_instance_id(member.group_instance_id.map(|id| id.to_string().into()))
            .with_metadata(member.metadata)
    };
    // The protocol's name is nullable from version 7 on; before, no protocol is an empty name.
    let protocol_name = match (result.protocol_name, version) {
        (None, ..7) => Some("".into()),
        (name, _) => name.filter(|name| version < 7 || !name.is_empty()),
    };
    JoinGroupResponse::default()
        .with_error_code(result.error.code())
        .with_generation_id(result.generation_id)
        .with_protocol_type(result.protocol_type.map(|t| t.to_string().into()))
        .with_protocol_name(protocol_name.map(|name| name.to_string().into()))
        .with_leader(result.leader.unwrap_or_default().to_string().into())
        .with_skip_assignment(result.skip_assignment)
        .with_member_id(result.member_id.to_string().into())
        .with_members(result.members.into_iter().map(member).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::error::ErrorCode;
    use crate::protocol::codec;

    #[test]
    fn addresses_are_written_as_java_writes_them() {
        let cases = [
            ("127.0.0.1", "/127.0.0.1"),
            ("::ffff:10.1.2.3", "/10.1.2.3"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("fe80::a:b", "/fe80:0:0:0:0:0:a:b"),
        ];
        for (address, expected) in cases {
            assert_eq!(java_address(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_missing_protocol_is_empty_before_version_7_and_null_since() {
        for version in 0..=9 {
            let refused = response(JoinResult::error("m", ErrorCode::MemberIdRequired), version);
            assert_eq!(refused.protocol_name.as_deref(), (version < 7).then_some(""));
            assert_eq!((&*refused.leader, refused.generation_id), ("", -1));
            codec::encode_response(&refused, version, 0).unwrap();
        }
    }

    #[test]
    fn a_leader_is_told_of_all_in_every_version() {
        for version in 0..=9 {
            let joined = response(
                JoinResult {
                    error: ErrorCode::None,
                    member_id: "m".into(),
                    generation_id: 1,
                    protocol_type: Some("consumer".into()),
                    protocol_name: Some("range".into()),
                    leader: Some("m".into()),
                    skip_assignment: false,
                    members: vec![JoinedMember {
                        member_id: "m".into(),
                        group_instance_id: Some("i".into()),
                        metadata: Bytes::from_static(b"x"),
                    }],
                },
                version,
            );
            assert_eq!(
                (joined.members.len(), joined.protocol_name.as_deref()),
                (1, Some("range"))
            );
            codec::encode_response(&joined, version, 0).unwrap();
        }
    }
}
