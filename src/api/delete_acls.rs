//! DeleteAcls (31): removes the rules of authorization that match filters. Without an authorizer each filter is
//! refused. Kafka 3.9: `AclApis.handleDeleteAcls`.

use super::acl_kinds::{NO_AUTHORIZER, has_unknown};
use super::answer::Answer;
use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::delete_acls_request::DeleteAclsFilter;
use crate::protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use crate::protocol::messages::{DeleteAclsRequest, DeleteAclsResponse};
use crate::protocol::wire_text;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DeleteAcls,
    0..=3,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(_: &Api, _: &RequestContext, request: DeleteAclsRequest) -> Answer<DeleteAclsResponse> {
    let is_unknown = |f: &DeleteAclsFilter| {
        has_unknown([
            f.resource_type_filter,
            f.pattern_type_filter,
            f.operation,
            f.permission_type,
        ])
    };
    if request.filters.iter().any(is_unknown) {
        return Answer::Close;
    }
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire_text(NO_AUTHORIZER)));
    let results = vec![refused; request.filters.len()];
    Answer::Respond(DeleteAclsResponse::default().with_filter_results(results))
}
