//! ConsumerGroupDescribe (69): groups of the consumer protocol (KIP-848), which needs a KRaft cluster. Kafka 3.9:
//! `KafkaApis.handleConsumerGroupDescribe`.

use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::consumer_group_describe_response::DescribedGroup;
use crate::protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::ConsumerGroupDescribe, 0..=0, &[]);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    request: ConsumerGroupDescribeRequest,
) -> ConsumerGroupDescribeResponse {
    let refused = request.group_ids.into_iter().map(|id| {
        DescribedGroup::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code())
            .with_group_id(id)
    });
    ConsumerGroupDescribeResponse::default().with_groups(refused.collect())
}
