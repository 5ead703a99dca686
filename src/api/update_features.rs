//! UpdateFeatures (57): sets the levels of finalized features (KIP-584). Kafka 3.9: `KafkaApis.handleUpdateFeatures`.

use std::time::Duration;

use super::declaration::{Check, Declaration, Refusal, Resource, Right};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::controller::{FeatureUpdate, FeatureUpgrade};
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::update_features_request::FeatureUpdateKey;
use crate::protocol::messages::update_features_response::UpdatableFeatureResult;
use crate::protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

/// Kafka's message with NOT_CONTROLLER, the only error of the whole request.
const NOT_CONTROLLER: &str = "This is not the correct controller for this cluster.";

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::UpdateFeatures,
    0..=1,
    &[Check::always(
        &[Right(AclOperation::Alter, Resource::Cluster)],
        Refusal::Request(ErrorCode::ClusterAuthorizationFailed),
    )],
);

/// Asks the controller module of this broker.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let update = |key: &FeatureUpdateKey| FeatureUpdate {
        feature: key.feature.to_string(),
        level: key.max_version_level,
        upgrade: upgrade(context.api_version, key),
    };
    let updates = request.feature_updates.iter().map(update).collect();
    let patience = Duration::from_millis(request.timeout_ms.max(0) as u64);
    let results = match api.controller.update_features(updates, patience).await {
        Ok(results) => results,
        Err(error) => {
            return UpdateFeaturesResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(StrBytes::from_static_str(NOT_CONTROLLER)));
        }
    };
    let result = |(feature, result): (String, Result<(), (ErrorCode, Option<String>)>)| {
        let (error, message) = result.err().unwrap_or((ErrorCode::None, None));
        UpdatableFeatureResult::default()
            .with_feature(StrBytes::from_string(feature))
            .with_error_code(error.code())
            .with_error_message(message.map(StrBytes::from_string))
    };
    UpdateFeaturesResponse::default()
        .with_error_message(None)
        .with_results(results.into_iter().map(result).collect())
}

/// The kind of update. Version 0 has upgrades and downgrades only.
fn upgrade(version: i16, key: &FeatureUpdateKey) -> FeatureUpgrade {
    match (version, key.upgrade_type) {
        (0, _) if key.allow_downgrade => FeatureUpgrade::SafeDowngrade,
        (0, _) | (_, 1) => FeatureUpgrade::Upgrade,
        (_, 2) => FeatureUpgrade::SafeDowngrade,
        (_, 3) => FeatureUpgrade::UnsafeDowngrade,
        _ => FeatureUpgrade::Unknown,
    }
}
