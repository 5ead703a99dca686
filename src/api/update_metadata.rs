//! UpdateMetadata (6): the controller replaces what this broker knows of the cluster. Kafka 3.9:
//! `KafkaApis.handleUpdateMetadataRequest`.

use super::broker_epoch::check_broker_epoch;
use super::declaration::{Declaration, FROM_BROKERS};
use super::{Api, RequestContext};
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{UpdateMetadataRequest, UpdateMetadataResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::UpdateMetadata, 0..=8, FROM_BROKERS);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: UpdateMetadataRequest,
) -> UpdateMetadataResponse {
    let replicas = &api.replicas;
    let result = match check_broker_epoch(replicas, ApiKey::UpdateMetadata, request.broker_epoch) {
        Ok(()) => replicas.update_metadata(&request).await,
        Err(error) => Err(error),
    };
    // A request may wait for a topic that exists now or is gone.
    api.admin.on_metadata_update();
    let error = match result {
        Ok(gone) => {
            if !gone.is_empty() {
                api.groups.on_partitions_deleted(&gone);
            }
            ErrorCode::None
        }
        Err(error) => error,
    };
    UpdateMetadataResponse::default().with_error_code(error.code())
}
