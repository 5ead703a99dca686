//! APIs of features that are off in this broker's configuration: their answers are those of a Kafka with the same
//! configuration, and are all that there is to build until the feature comes. Kafka 3.9: `KafkaApis`, `AclApis`.
//!
//! There is no authorizer, no listener with SASL or TLS (so no SASL exchange and no delegation tokens), the
//! group coordinator is the classic one, and there is no forwarding.

use crate::common::error::ErrorCode;
use crate::protocol::messages::consumer_group_describe_response::DescribedGroup;
use crate::protocol::messages::create_acls_response::AclCreationResult;
use crate::protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use crate::protocol::messages::*;
use crate::protocol::{StrBytes, wire_text};

const NO_AUTHORIZER: ErrorCode = ErrorCode::SecurityDisabled;
const NO_TOKENS: ErrorCode = ErrorCode::DelegationTokenRequestNotAllowed;
/// The times of a token that is not there.
const NEVER: i64 = -1;
const NO_SASL: ErrorCode = ErrorCode::IllegalSaslState;
/// The consumer protocol of KIP-848 needs a KRaft cluster.
const CLASSIC_GROUPS_ONLY: ErrorCode = ErrorCode::UnsupportedVersion;

fn no_authorizer() -> Option<StrBytes> {
    Some(wire_text("No Authorizer is configured."))
}

/// A resource type, pattern type, operation or permission of zero: Kafka cannot read such a request, and so it ends the
/// connection.
fn has_unknown(kinds: [i8; 4]) -> bool {
    kinds.contains(&0)
}

pub(super) fn describe_acls(request: &DescribeAclsRequest) -> Option<DescribeAclsResponse> {
    let (resource, pattern) = (request.resource_type_filter, request.pattern_type_filter);
    if has_unknown([resource, pattern, request.operation, request.permission_type]) {
        return None;
    }
    let response = DescribeAclsResponse::default()
        .with_error_code(NO_AUTHORIZER.code())
        .with_error_message(Some(wire_text("No Authorizer is configured on the broker")));
    Some(response)
}

pub(super) fn create_acls(request: &CreateAclsRequest) -> Option<CreateAclsResponse> {
    let is_unknown = |c: &create_acls_request::AclCreation| {
        has_unknown([
            c.resource_type,
            c.resource_pattern_type,
            c.operation,
            c.permission_type,
        ])
    };
    if request.creations.iter().any(is_unknown) {
        return None;
    }
    let refused = AclCreationResult::default()
        .with_error_code(NO_AUTHORIZER.code())
        .with_error_message(no_authorizer());
    Some(CreateAclsResponse::default().with_results(vec![refused; request.creations.len()]))
}

pub(super) fn delete_acls(request: &DeleteAclsRequest) -> Option<DeleteAclsResponse> {
    let is_unknown = |f: &delete_acls_request::DeleteAclsFilter| {
        has_unknown([
            f.resource_type_filter,
            f.pattern_type_filter,
            f.operation,
            f.permission_type,
        ])
    };
    if request.filters.iter().any(is_unknown) {
        return None;
    }
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(NO_AUTHORIZER.code())
        .with_error_message(no_authorizer());
    Some(DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()]))
}

pub(super) fn sasl_handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(NO_SASL.code())
}

pub(super) fn sasl_authenticate() -> SaslAuthenticateResponse {
    SaslAuthenticateResponse::default()
        .with_error_code(NO_SASL.code())
        .with_error_message(Some(wire_text(
            "SaslAuthenticate request received after successful authentication",
        )))
}

pub(super) fn create_delegation_token(
    version: i16,
    request: CreateDelegationTokenRequest,
) -> CreateDelegationTokenResponse {
    let (kind, name) = (wire_text("User"), wire_text("ANONYMOUS"));
    // Who asks is the owner unless another is named.
    let named = request.owner_principal_name.filter(|name| !name.is_empty());
    let (owner_kind, owner) = match named {
        Some(named) => (request.owner_principal_type.unwrap_or_default(), named),
        None => (kind.clone(), name.clone()),
    };
    let refused = CreateDelegationTokenResponse::default()
        .with_error_code(NO_TOKENS.code())
        .with_principal_type(owner_kind)
        .with_principal_name(owner)
        .with_issue_timestamp_ms(NEVER)
        .with_expiry_timestamp_ms(NEVER)
        .with_max_timestamp_ms(NEVER);
    match version {
        ..3 => refused,
        _ => refused
            .with_token_requester_principal_type(kind)
            .with_token_requester_principal_name(name),
    }
}

pub(super) fn renew_delegation_token() -> RenewDelegationTokenResponse {
    RenewDelegationTokenResponse::default()
        .with_error_code(NO_TOKENS.code())
        .with_expiry_timestamp_ms(NEVER)
}

pub(super) fn expire_delegation_token() -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse::default()
        .with_error_code(NO_TOKENS.code())
        .with_expiry_timestamp_ms(NEVER)
}

pub(super) fn describe_delegation_token() -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse::default().with_error_code(NO_TOKENS.code())
}

pub(super) fn consumer_group_heartbeat() -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default().with_error_code(CLASSIC_GROUPS_ONLY.code())
}

pub(super) fn consumer_group_describe(
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let refused = request.group_ids.into_iter().map(|id| {
        DescribedGroup::default()
            .with_error_code(CLASSIC_GROUPS_ONLY.code())
            .with_group_id(id)
    });
    ConsumerGroupDescribeResponse::default().with_groups(refused.collect())
}
