//! What holds for every handler, and the answers of those that need nothing of the broker.

use tempfile::TempDir;

use super::answer::Answer;
use super::declaration::{ApiState, Check, Declaration, Refusal, Right, When};
use super::testing::{api_in, context};
use super::*;
use crate::common::error::ErrorCode;
use crate::network::{Reply, RequestHandler as _};
use crate::protocol::messages::*;
use crate::protocol::{ApiKey, Request, WireRequest, WireResponse, codec, wire_text};

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

fn response_of<T: WireResponse>(answer: Answer<T>) -> T {
    match answer {
        Answer::Respond(response) | Answer::RespondIn(_, response) => response,
        Answer::Nothing | Answer::Close => panic!("no response"),
    }
}

#[tokio::test]
async fn every_api_answers_in_every_version() {
    let dir = TempDir::new().unwrap();
    let api = api_in(dir.path());
    for declared in DECLARATIONS {
        let key = declared.key;
        // Their kinds are zero, which closes the connection; an envelope always does.
        let closes = matches!(key, ApiKey::DescribeAcls | ApiKey::Envelope);
        for version in declared.versions.clone() {
            let reply = api.handle(&context(version), 7, Request::empty(key)).await;
            match reply {
                // An empty Produce request has acks=0.
                Reply::Nothing => assert_eq!(key, ApiKey::Produce),
                Reply::Send(_) => assert!(!closes, "{key:?} {version}"),
                Reply::Close => assert!(closes, "{key:?} {version}"),
            }
        }
    }
}

#[test]
fn the_table_has_every_api() {
    let declared: Vec<_> = DECLARATIONS.iter().map(|declared| declared.key).collect();
    assert_eq!(declared, ApiKey::ALL);
    let planned = DECLARATIONS.iter().filter(|d| d.state == ApiState::Planned);
    let planned: Vec<_> = planned.map(|declared| declared.key.name()).collect();
    let expected = ["DescribeClientQuotas", "AlterClientQuotas"];
    assert_eq!(planned, expected);
}

fn in_words(check: &Check) -> String {
    let Check {
        when,
        any_of,
        refusal,
    } = check;
    let when = match when {
        When::Always => String::new(),
        When::UpToVersion(version) => format!("up to version {version}: "),
        When::FromVersion(version) => format!("from version {version} on: "),
        When::Transactional => "with a transaction: ".into(),
        When::NotTransactional => "without a transaction: ".into(),
        When::FromFollower => "from a follower: ".into(),
        When::FromConsumer => "from a consumer: ".into(),
        When::AllTopics => "for all topics: ".into(),
        When::MissingTopic => "to create a missing topic: ".into(),
        When::ById => "by id, to show the name: ".into(),
        When::KeyType(key_type) => format!("for key type {key_type}: "),
        When::TopicConfigs => "of a topic: ".into(),
        When::OtherConfigs => "of anything else: ".into(),
        When::ClusterOperations => "for the cluster's operations: ".into(),
        When::OtherOwner => "of another owner: ".into(),
    };
    let right = |Right(operation, resource): &Right| format!("{operation:?} {resource:?}");
    let rights: Vec<_> = any_of.iter().map(right).collect();
    let refusal = match refusal {
        Refusal::Request(error) => format!("{}", error.code()),
        Refusal::Entry(error) => format!("{} beside the entry", error.code()),
        Refusal::AllEntries(error) => format!("{} beside every entry", error.code()),
        Refusal::RequestAndEntries(error) => format!("{} once and beside every entry", error.code()),
        Refusal::LeftOut => "left out".into(),
        Refusal::Hidden => "details hidden".into(),
    };
    format!("{when}{}, else {refusal}", rights.join(" or "))
}

fn row(declared: &Declaration) -> String {
    let (low, high) = (declared.versions.start(), declared.versions.end());
    let checks: Vec<_> = declared.checks.iter().map(in_words).collect();
    let checks = if checks.is_empty() {
        "none".into()
    } else {
        checks.join("; ")
    };
    let (code, name) = (declared.key.code(), declared.key.name());
    format!("| {code} | {name} | {low} to {high} | {checks} |")
}

/// The table in `kafka-facts.md` was read off Apache Kafka; the handlers declare the same.
#[test]
fn the_declarations_are_those_of_kafka() {
    let facts = include_str!("../kafka-facts.md");
    let told: Vec<_> = facts
        .lines()
        .skip_while(|line| !line.starts_with("| 0 |"))
        .collect();
    for (at, declared) in DECLARATIONS.iter().enumerate() {
        assert_eq!(told.get(at).copied(), Some(&*row(declared)), "row {at}");
    }
}

#[tokio::test]
async fn what_is_switched_off_is_said_in_every_version() {
    let dir = TempDir::new().unwrap();
    let (api, newest) = (&api_in(dir.path()), &context(0));
    let security = ErrorCode::SecurityDisabled;
    let described = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let response = response_of(describe_acls::handle(api, newest, described.clone()).await);
    assert_eq!(errors_in::<DescribeAclsRequest>(&response, security), [1; 4]);
    let creation = create_acls_request::AclCreation::default()
        .with_resource_type(2)
        .with_operation(3)
        .with_permission_type(3);
    let creations = CreateAclsRequest::default().with_creations(vec![creation; 3]);
    let response = response_of(create_acls::handle(api, newest, creations.clone()).await);
    assert_eq!(errors_in::<CreateAclsRequest>(&response, security), [3; 4]);
    let filter = delete_acls_request::DeleteAclsFilter::default()
        .with_resource_type_filter(1)
        .with_operation(1)
        .with_permission_type(1);
    let filters = DeleteAclsRequest::default().with_filters(vec![filter; 2]);
    let response = response_of(delete_acls::handle(api, newest, filters.clone()).await);
    assert_eq!(errors_in::<DeleteAclsRequest>(&response, security), [2; 4]);
    // Any of the four kinds that is not known.
    let answer = describe_acls::handle(api, newest, described.with_operation(0)).await;
    assert_eq!(answer, Answer::Close);
    let mut creations = creations;
    creations.creations[2].resource_pattern_type = 0;
    assert_eq!(create_acls::handle(api, newest, creations).await, Answer::Close);
    let mut filters = filters;
    filters.filters[1].permission_type = 0;
    assert_eq!(delete_acls::handle(api, newest, filters).await, Answer::Close);

    let sasl = ErrorCode::IllegalSaslState;
    let response = sasl_handshake::handle(api, newest, SaslHandshakeRequest::default()).await;
    assert_eq!(errors_in::<SaslHandshakeRequest>(&response, sasl), [1; 2]);
    let response = sasl_authenticate::handle(api, newest, SaslAuthenticateRequest::default()).await;
    assert_eq!(errors_in::<SaslAuthenticateRequest>(&response, sasl), [1; 3]);

    let version = ErrorCode::UnsupportedVersion;
    let request = ConsumerGroupHeartbeatRequest::default();
    let response = consumer_group_heartbeat::handle(api, newest, request).await;
    assert_eq!(
        errors_in::<ConsumerGroupHeartbeatRequest>(&response, version),
        [1]
    );
    let groups = vec![wire_text("g").into(), wire_text("h").into()];
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(groups);
    let response = consumer_group_describe::handle(api, newest, request).await;
    assert_eq!(errors_in::<ConsumerGroupDescribeRequest>(&response, version), [2]);
}

#[tokio::test]
async fn tokens_are_refused_in_every_version() {
    let dir = TempDir::new().unwrap();
    let (api, newest) = (&api_in(dir.path()), &context(0));
    let token = ErrorCode::DelegationTokenRequestNotAllowed;
    for version in ApiKey::CreateDelegationToken.versions() {
        let request = CreateDelegationTokenRequest::default();
        let response = create_delegation_token::handle(api, &context(version), request).await;
        assert_eq!(response.error_code, token.code());
        assert_eq!(&*response.principal_name, "ANONYMOUS");
        codec::encode_response(&response, version, 0).unwrap();
    }
    let request = RenewDelegationTokenRequest::default();
    let response = renew_delegation_token::handle(api, newest, request).await;
    assert_eq!(errors_in::<RenewDelegationTokenRequest>(&response, token), [1; 3]);
    let request = ExpireDelegationTokenRequest::default();
    let response = expire_delegation_token::handle(api, newest, request).await;
    assert_eq!(
        errors_in::<ExpireDelegationTokenRequest>(&response, token),
        [1; 3]
    );
    let request = DescribeDelegationTokenRequest::default();
    let response = describe_delegation_token::handle(api, newest, request).await;
    assert_eq!(
        errors_in::<DescribeDelegationTokenRequest>(&response, token),
        [1; 4]
    );
}

#[tokio::test]
async fn what_is_planned_says_so_wherever_there_is_room() {
    let dir = TempDir::new().unwrap();
    let (api, newest) = (&api_in(dir.path()), &context(0));
    let errors = |versions: &[usize], seen: Vec<usize>| assert_eq!(seen, versions);
    let code = ErrorCode::UnsupportedVersion;
    let request = DescribeClientQuotasRequest::default();
    let response = describe_client_quotas::handle(api, newest, request).await;
    errors(&[1; 2], errors_in::<DescribeClientQuotasRequest>(&response, code));
    let entry = alter_client_quotas_request::EntryData::default();
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let response = alter_client_quotas::handle(api, newest, request).await;
    errors(&[1; 2], errors_in::<AlterClientQuotasRequest>(&response, code));
}
