//! AlterClientQuotas (49): not built yet. Kafka 3.9: `KafkaApis.handleAlterClientQuotasRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::protocol::ApiKey;
use crate::protocol::messages::alter_client_quotas_response::{EntityData, EntryData};
use crate::protocol::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::planned(
    ApiKey::AlterClientQuotas,
    0..=1,
    &[Check::always(
        &[Right(AclOperation::AlterConfigs, Resource::Cluster)],
        Refusal::AllEntries(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Answers one request.
pub async fn handle(
    _: &Api,
    _: &RequestContext,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let entries = request.entries.into_iter().map(|entry| {
        let entity = entry.entity.into_iter().map(|entity| {
            EntityData::default()
                .with_entity_type(entity.entity_type)
                .with_entity_name(entity.entity_name)
        });
        EntryData::default()
            .with_error_code(ErrorCode::UnsupportedVersion.code())
            .with_entity(entity.collect())
    });
    AlterClientQuotasResponse::default().with_entries(entries.collect())
}
