//! DescribeGroups, versions 0 to 5. Kafka 3.9: `KafkaApis.handleDescribeGroupsRequest`.

use super::{Api, RequestContext};
use crate::coordinator::group::member::Member;
use crate::coordinator::group::requests::GroupDescription;
use crate::protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

/// What a client that did not ask for them is told of its rights.
const NO_AUTHORIZED_OPERATIONS: i32 = i32::MIN;
/// The bits of READ, DELETE and DESCRIBE: every operation on a group, granted while there is no authorizer.
const ALL_GROUP_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let operations = match context.api_version >= 3 && request.include_authorized_operations {
        true => ALL_GROUP_OPERATIONS,
        false => NO_AUTHORIZED_OPERATIONS,
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
