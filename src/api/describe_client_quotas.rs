//! DescribeClientQuotas (48): not built yet. Kafka 3.9: `KafkaApis.handleDescribeClientQuotasRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::planned(
    ApiKey::DescribeClientQuotas,
    0..=1,
    &[Check::always(
        &[Right(AclOperation::DescribeConfigs, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    _: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse::default()
        .with_error_code(ErrorCode::UnsupportedVersion.code())
        .with_entries(None)
}
