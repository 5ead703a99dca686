//! DescribeGroups (15): the state and the members of groups. Kafka 3.9: `KafkaApis.handleDescribeGroupsRequest`.

use super::authorized_operations::{NOT_ASKED, ON_GROUP};
use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::coordinator::group::member::Member;
use crate::coordinator::group::requests::GroupDescription;
use crate::protocol::ApiKey;
use crate::protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeGroups,
    0..=5,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Group)],
        Refusal::Entry(ErrorCode::GroupAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = match context.api_version >= 3 && request.include_authorized_operations {
        true => ON_GROUP,
        false => NOT_ASKED,
    };
    let describe = |group_id: GroupId| match api.groups.describe_group(&group_id) {
        Ok(description) => described(group_id, description).with_authorized_operations(operations),
        Err(error) => DescribedGroup::default()
            .with_group_id(group_id)
            .with_error_code(error.code()),
    };
    DescribeGroupsResponse::default().with_groups(request.groups.into_iter().map(describe).collect())
}

fn described(group_id: GroupId, group: GroupDescription) -> DescribedGroup {
    let protocol = group.protocol.clone();
    let member = |member: Member| {
        let metadata = member.metadata(&protocol).cloned().unwrap_or_default();
        DescribedGroupMember::default()
            .with_member_id(member.id.to_string().into())
            .with_group_instance_id(member.group_instance_id.map(|id| id.to_string().into()))
            .with_client_id(member.client_id.to_string().into())
            .with_client_host(member.client_host.to_string().into())
            .with_member_metadata(metadata)
            .with_member_assignment(member.assignment)
    };
    DescribedGroup::default()
        .with_group_id(group_id)
        .with_group_state(group.state.name().into())
        .with_protocol_type(group.protocol_type.to_string().into())
        .with_protocol_data(group.protocol.to_string().into())
        .with_members(group.members.into_iter().map(member).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::coordinator::group::{GroupState, Protocol};
    use crate::protocol::codec;

    #[test]
    fn a_group_is_described_in_every_version() {
        let protocol = Protocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"subscription"),
        };
        let member = Member {
            id: "m".into(),
            group_instance_id: Some("i".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: 1,
            session_timeout_ms: 1,
            protocols: vec![protocol],
            assignment: Bytes::from_static(b"assignment"),
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline_ms: None,
        };
        let group = GroupDescription {
            state: GroupState::Stable,
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            members: vec![member],
        };
        let described = described(GroupId("g".into()), group);
        assert_eq!(&*described.group_state, "Stable");
        assert_eq!(described.members[0].member_metadata, "subscription");
        assert_eq!(described.members[0].member_assignment, "assignment");
        let response = DescribeGroupsResponse::default().with_groups(vec![described]);
        for version in 0..=5 {
            codec::encode_response(&response, version, 0).unwrap();
        }
    }
}
