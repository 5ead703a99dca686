//! CreateAcls (30): adds rules of authorization. Without an authorizer each is refused. Kafka 3.9:
//! `AclApis.handleCreateAcls`.

use super::acl_kinds::{NO_AUTHORIZER, has_unknown};
use super::answer::Answer;
use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::create_acls_request::AclCreation;
use crate::protocol::messages::create_acls_response::AclCreationResult;
use crate::protocol::messages::{CreateAclsRequest, CreateAclsResponse};
use crate::protocol::wire_text;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::CreateAcls,
    0..=3,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(_: &Api, _: &RequestContext, request: CreateAclsRequest) -> Answer<CreateAclsResponse> {
    let is_unknown = |c: &AclCreation| {
        has_unknown([
            c.resource_type,
            c.resource_pattern_type,
            c.operation,
            c.permission_type,
        ])
    };
    if request.creations.iter().any(is_unknown) {
        return Answer::Close;
    }
    let refused = AclCreationResult::default()
        .with_error_code(ErrorCode::SecurityDisabled.code())
        .with_error_message(Some(wire_text(NO_AUTHORIZER)));
    let results = vec![refused; request.creations.len()];
    Answer::Respond(CreateAclsResponse::default().with_results(results))
}
