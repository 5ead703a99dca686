//! DeleteGroups (42): deletes groups without members. Kafka 3.9: `KafkaApis.handleDeleteGroupsRequest`.

use std::collections::HashSet;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DeleteGroups,
    0..=2,
    &[Check::always(
        &[Right(AclOperation::Delete, Resource::Group)],
        Refusal::Entry(ErrorCode::GroupAuthorizationFailed),
    )],
);

/// Answers one request; a group that is named twice is deleted once.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut seen = HashSet::new();
    let groups = request
        .groups_names
        .into_iter()
        .filter(|group| seen.insert(group.clone()));
    let delete = |group: GroupId| {
        let code = api.groups.delete_group(&group);
        DeletableGroupResult::default()
            .with_group_id(group)
            .with_error_code(code.code())
    };
    DeleteGroupsResponse::default().with_results(groups.map(delete).collect())
}
