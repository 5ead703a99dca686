//! CreateDelegationToken (38): creates a token to log in with. It needs a listener with SASL or TLS, and is refused.
//! Kafka 3.9: `KafkaApis.handleCreateTokenRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
use crate::protocol::wire_text;

/// First version that tells who asked for the token, beside its owner.
const FIRST_VERSION_WITH_REQUESTER: i16 = 3;
/// The times of a token that does not exist.
const NEVER: i64 = -1;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::CreateDelegationToken,
    0..=3,
    &[Check::when(
        When::OtherOwner,
        &[Right(AclOperation::CreateTokens, Resource::Owner)],
        Refusal::Request(ErrorCode::DelegationTokenAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    context: &RequestContext,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    let (kind, name) = (wire_text("User"), wire_text("ANONYMOUS"));
    // The client is the owner unless the request names another.
    let named = request.owner_principal_name.filter(|name| !name.is_empty());
    let (owner_kind, owner) = match named {
        Some(named) => (request.owner_principal_type.unwrap_or_default(), named),
        None => (kind.clone(), name.clone()),
    };
    let refused = CreateDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
        .with_principal_type(owner_kind)
        .with_principal_name(owner)
        .with_issue_timestamp_ms(NEVER)
        .with_expiry_timestamp_ms(NEVER)
        .with_max_timestamp_ms(NEVER);
    match context.api_version {
        ..FIRST_VERSION_WITH_REQUESTER => refused,
        _ => refused
            .with_token_requester_principal_type(kind)
            .with_token_requester_principal_name(name),
    }
}
