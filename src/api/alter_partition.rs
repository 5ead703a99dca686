//! AlterPartition (56): a leader asks the controller for another ISR. Kafka 3.9:
//! `KafkaApis.handleAlterPartitionRequest`.

use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::protocol::ApiKey;
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::AlterPartition, 0..=3, FROM_BROKERS);

/// Asks the controller module of this broker, which makes every check.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: AlterPartitionRequest,
) -> AlterPartitionResponse {
    api.controller.alter_partition(request, context.api_version).await
}
