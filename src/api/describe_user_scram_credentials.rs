//! DescribeUserScramCredentials (50): not built yet. Kafka 3.9:
//! `KafkaApis.handleDescribeUserScramCredentialsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::planned(
    ApiKey::DescribeUserScramCredentials,
    0..=0,
    &[Check::always(
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    _: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    DescribeUserScramCredentialsResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code())
}
