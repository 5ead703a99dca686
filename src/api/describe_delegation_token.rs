//! DescribeDelegationToken (41): the tokens. It needs a listener with SASL or TLS, and is refused. Kafka 3.9:
//! `KafkaApis.handleDescribeTokensRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeDelegationToken,
    0..=3,
    &[Check::when(
        When::OtherOwner,
        &[
            Right(AclOperation::Describe, Resource::AnsweredToken),
            Right(AclOperation::DescribeTokens, Resource::AnsweredOwner),
        ],
        Refusal::LeftOut,
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    _: DescribeDelegationTokenRequest,
) -> DescribeDelegationTokenResponse {
    DescribeDelegationTokenResponse::default()
        .with_error_code(ErrorCode::DelegationTokenRequestNotAllowed.code())
}
