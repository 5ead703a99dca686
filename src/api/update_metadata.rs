//! UpdateMetadata (6): the controller tells what the cluster looks like. Kafka 3.9:
//! `KafkaApis.handleUpdateMetadataRequest`.

use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::common::ids::TopicPartition;
use crate::protocol::messages::{UpdateMetadataRequest, UpdateMetadataResponse};
use crate::replica::ReplicaManager;

/// Serves versions 0 to 8.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: UpdateMetadataRequest,
) -> UpdateMetadataResponse {
    let (response, gone) = serve(&api.replicas, &request).await;
    // Topics that somebody waits for may exist now, or be gone.
    api.admin.on_metadata_update();
    if !gone.is_empty() {
        api.groups.on_partitions_deleted(&gone);
    }
    response
}

/// [`handle`] without an `Api`, of which it uses only what is given here; also the partitions that are gone.
pub async fn serve(
    replicas: &ReplicaManager,
    request: &UpdateMetadataRequest,
) -> (UpdateMetadataResponse, Vec<TopicPartition>) {
    let result = if replicas.is_broker_epoch_stale(request.broker_epoch) {
        tracing::info!(
            broker_epoch = request.broker_epoch,
            "refusing UpdateMetadata meant for an earlier life of this broker"
        );
        Err(ErrorCode::StaleBrokerEpoch)
    } else {
        replicas.update_metadata(request).await
    };
    let (error, gone) = match result {
        Ok(gone) => (ErrorCode::None, gone),
        Err(error) => (error, Vec::new()),
    };
    (
        UpdateMetadataResponse::default().with_error_code(error.code()),
        gone,
    )
}
