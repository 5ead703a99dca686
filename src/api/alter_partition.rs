//! AlterPartition (56): a leader wants another ISR. Kafka 3.9: `KafkaApis.handleAlterPartitionRequest`.

use super::{Api, RequestContext};
use crate::protocol::messages::{AlterPartitionRequest, AlterPartitionResponse};

/// Serves versions 0 to 3; every check is the controller's.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: AlterPartitionRequest,
) -> AlterPartitionResponse {
    api.controller.alter_partition(request, context.api_version).await
}
