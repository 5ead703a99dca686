//! DeleteGroups, versions 0 to 2. Kafka 3.9: `KafkaApis.handleDeleteGroupsRequest`.

use std::collections::HashSet;

use super::{Api, RequestContext};
use crate::protocol::messages::delete_groups_response::DeletableGroupResult;
use crate::protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId};

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
