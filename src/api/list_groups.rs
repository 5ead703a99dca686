//! ListGroups (16): the groups that this broker coordinates. Kafka 3.9: `KafkaApis.handleListGroupsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::coordinator::group::requests::{CLASSIC_GROUP_TYPE, ListedGroup as Listed};
use crate::protocol::ApiKey;
use crate::protocol::messages::list_groups_response::ListedGroup;
use crate::protocol::messages::{ListGroupsRequest, ListGroupsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::ListGroups,
    0..=5,
    &[Check::always(
        &[
            Right(AclOperation::Describe, Resource::Cluster),
            Right(AclOperation::Describe, Resource::AnsweredGroup),
        ],
        Refusal::LeftOut,
    )],
);

/// Answers one request with the groups of this broker. A client asks every broker.
pub async fn handle(api: &Api, _context: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
    let states: Vec<_> = request
        .states_filter
        .iter()
        .map(|state| state.to_string())
        .collect();
    let types: Vec<_> = request
        .types_filter
        .iter()
        .map(|group_type| group_type.to_string())
        .collect();
    let (code, groups) = api.groups.list_groups(&states, &types);
    let listed = |group: Listed| {
        ListedGroup::default()
            .with_group_id(crate::protocol::messages::GroupId(
                group.group_id.to_string().into(),
            ))
            .with_protocol_type(group.protocol_type.to_string().into())
            .with_group_state(group.state.name().into())
            .with_group_type(CLASSIC_GROUP_TYPE.into())
    };
    ListGroupsResponse::default()
        .with_error_code(code.code())
        .with_groups(groups.into_iter().map(listed).collect())
}
