//! DescribeAcls (29): the rules of authorization that match a filter. Without an authorizer there are none, and the
//! answer says so. Kafka 3.9: `AclApis.handleDescribeAcls`.

use super::acl_kinds::has_unknown;
use super::answer::Answer;
use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{DescribeAclsRequest, DescribeAclsResponse};
use crate::protocol::wire_text;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeAcls,
    0..=3,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    request: DescribeAclsRequest,
) -> Answer<DescribeAclsResponse> {
    let (resource, pattern) = (request.resource_type_filter, request.pattern_type_filter);
    if has_unknown([resource, pattern, request.operation, request.permission_type]) {
        return Answer::Close;
    }
    let response = DescribeAclsResponse::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire_text("No Authorizer is configured on the broker")));
    Answer::Respond(response)
}
