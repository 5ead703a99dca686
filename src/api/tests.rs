//! Answers that need nothing of the broker.

use super::*;
use crate::common::error::ErrorCode;
use crate::protocol::api_table::ApiState;
use crate::protocol::messages::*;
use crate::protocol::{ApiKey, WireRequest, codec, wire_text};

/// Whether a response can be written in every version, and how many errors it then has.
fn errors_in<R: WireRequest>(response: &R::Response, code: ErrorCode) -> Vec<usize> {
    let api = ApiKey::from_code(R::KEY).unwrap();
    let code = code.code().to_be_bytes();
    let errors = api.versions().map(|version| {
        let frame = codec::encode_response(response, version, 0).unwrap();
        let body = &frame[8..];
        body.windows(2).filter(|window| *window == code).count()
    });
    errors.collect()
}

/// The table says what is built, the dispatch what is done about it.
#[test]
fn an_api_is_planned_in_the_table_if_and_only_if_it_is_in_the_dispatch() {
    let dispatch = include_str!("dispatch.rs");
    for &api in ApiKey::ALL {
        let arm = dispatch
            .split("Request::")
            .find(|arm| arm.starts_with(&format!("{}(", api.name())));
        let is_planned = arm.unwrap().contains("planned::");
        assert_eq!(is_planned, api.state() == ApiState::Planned, "{}", api.name());
    }
}

#[test]
fn what_is_switched_off_is_said_in_every_version() {
    let security = ErrorCode::SecurityDisabled;
    let described = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let response = switched_off::describe_acls(&described).unwrap();
    assert_eq!(errors_in::<DescribeAclsRequest>(&response, security), [1; 4]);
    let creation = create_acls_request::AclCreation::default()
        .with_resource_type(2)
        .with_operation(3)
        .with_permission_type(3);
    let creations = CreateAclsRequest::default().with_creations(vec![creation; 3]);
    let response = switched_off::create_acls(&creations).unwrap();
    assert_eq!(errors_in::<CreateAclsRequest>(&response, security), [3; 4]);
    let filter = delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let filters = DeleteAclsRequest::default().with_filters(vec![filter; 2]);
    let response = switched_off::delete_acls(&filters).unwrap();
    assert_eq!(errors_in::<DeleteAclsRequest>(&response, security), [2; 4]);
    // Any of the four that nobody knows.
    assert_eq!(switched_off::describe_acls(&described.with_operation(0)), None);
    let mut creations = creations;
    creations.creations[2].resource_pattern_type = 0;
    assert_eq!(switched_off::create_acls(&creations), None);
    let mut filters = filters;
    filters.filters[1].permission_type = 0;
    assert_eq!(switched_off::delete_acls(&filters), None);

    let sasl = ErrorCode::IllegalSaslState;
    assert_eq!(
        errors_in::<SaslHandshakeRequest>(&switched_off::sasl_handshake(), sasl),
        [1; 2]
    );
    assert_eq!(
        errors_in::<SaslAuthenticateRequest>(&switched_off::sasl_authenticate(), sasl),
        [1; 3]
    );

    let token = ErrorCode::DelegationTokenRequestNotAllowed;
    for version in ApiKey::CreateDelegationToken.versions() {
        let response =
            switched_off::create_delegation_token(version, CreateDelegationTokenRequest::default());
        assert_eq!(response.error_code, token.code());
        assert_eq!(&*response.principal_name, "ANONYMOUS");
        codec::encode_response(&response, version, 0).unwrap();
    }
    let response = switched_off::renew_delegation_token();
    assert_eq!(errors_in::<RenewDelegationTokenRequest>(&response, token), [1; 3]);
    let response = switched_off::expire_delegation_token();
    assert_eq!(
        errors_in::<ExpireDelegationTokenRequest>(&response, token),
        [1; 3]
    );
    let response = switched_off::describe_delegation_token();
    assert_eq!(
        errors_in::<DescribeDelegationTokenRequest>(&response, token),
        [1; 4]
    );

    let version = ErrorCode::UnsupportedVersion;
    let response = switched_off::consumer_group_heartbeat();
    assert_eq!(
        errors_in::<ConsumerGroupHeartbeatRequest>(&response, version),
        [1]
    );
    let groups = vec![wire_text("g").into(), wire_text("h").into()];
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(groups);
    let response = switched_off::consumer_group_describe(request);
    assert_eq!(errors_in::<ConsumerGroupDescribeRequest>(&response, version), [2]);
}

#[test]
fn what_is_planned_says_so_wherever_there_is_room() {
    let errors = |versions: &[usize], seen: Vec<usize>| assert_eq!(seen, versions);
    let code = ErrorCode::UnsupportedVersion;
    let response = planned::describe_client_quotas();
    errors(&[1; 2], errors_in::<DescribeClientQuotasRequest>(&response, code));
    let entry = alter_client_quotas_request::EntryData::default();
    let response =
        planned::alter_client_quotas(AlterClientQuotasRequest::default().with_entries(vec![entry]));
    errors(&[1; 2], errors_in::<AlterClientQuotasRequest>(&response, code));
    let response = planned::describe_user_scram_credentials();
    errors(
        &[1],
        errors_in::<DescribeUserScramCredentialsRequest>(&response, code),
    );
    let deletion = alter_user_scram_credentials_request::ScramCredentialDeletion::default();
    let request = AlterUserScramCredentialsRequest::default().with_deletions(vec![deletion]);
    let response = planned::alter_user_scram_credentials(request);
    errors(
        &[1],
        errors_in::<AlterUserScramCredentialsRequest>(&response, code),
    );
}
