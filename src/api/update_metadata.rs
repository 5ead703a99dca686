//! UpdateMetadata (6): the controller replaces what this broker knows of the cluster. Kafka 3.9:
//! `KafkaApis.handleUpdateMetadataRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::{UpdateMetadataRequest, UpdateMetadataResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::UpdateMetadata,
    0..=8,
    &[Check::always(
        &[Right(AclOperation::ClusterAction, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    _context: &RequestContext,
    request: UpdateMetadataRequest,
) -> UpdateMetadataResponse {
    let replicas = &api.replicas;
    let result = if replicas.is_broker_epoch_stale(request.broker_epoch) {
        tracing::info!(
            broker_epoch = request.broker_epoch,
            "refusing UpdateMetadata meant for an earlier life of this broker"
        );
        Err(ErrorCode::StaleBrokerEpoch)
    } else {
        replicas.update_metadata(&request).await
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
