//! IncrementalAlterConfigs (44): changes settings key by key (KIP-339).
//! Kafka 3.9: `KafkaApis.handleIncrementalAlterConfigsRequest`.

use super::alter_configs::{CHECKS, WantedAlteration, alter_each};
use super::declaration::Declaration;
use super::{Api, RequestContext};
use crate::admin::{AdminError, AdminManager, AlterOperation, ConfigAlteration, ConfigResource};
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::protocol::ApiKey;
use crate::protocol::messages::incremental_alter_configs_request::AlterableConfig;
use crate::protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration =
    Declaration::built(ApiKey::IncrementalAlterConfigs, 0..=1, CHECKS);

/// Alters topics, this broker and the default of all brokers; on any broker, controller or not.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    respond(&api.admin, api.config.broker_id, request).await
}

async fn respond(
    admin: &AdminManager,
    own_id: BrokerId,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let wanted = request.resources.into_iter().map(|resource| WantedAlteration {
        resource: ConfigResource::to_alter(resource.resource_type, &resource.resource_name, own_id),
        alteration: alteration(resource.configs),
        kind: resource.resource_type,
        name: resource.resource_name,
    });
    let outcomes = alter_each(admin, wanted.collect(), request.validate_only).await;
    let responses = outcomes.into_iter().map(|outcome| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(outcome.kind)
            .with_resource_name(outcome.name)
            .with_error_code(outcome.code)
            .with_error_message(outcome.message)
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn alteration(configs: Vec<AlterableConfig>) -> Result<ConfigAlteration, AdminError> {
    let mut changes = Vec::with_capacity(configs.len());
    for config in configs {
        let Some(operation) = AlterOperation::from_i8(config.config_operation) else {
            let message = format!("{}: unknown operation {}", &*config.name, config.config_operation);
            return Err(AdminError::new(ErrorCode::InvalidRequest, message));
        };
        changes.push((
            config.name.to_string(),
            operation,
            config.value.map(|v| v.to_string()),
        ));
    }
    Ok(ConfigAlteration::Incremental(changes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::messages::incremental_alter_configs_request::AlterConfigsResource;
    use crate::protocol::{Response, StrBytes};

    #[tokio::test]
    async fn a_resource_is_altered_or_refused_by_itself() {
        let world = World::new().await;
        world.topic_exists("t").await;
        world.topic_exists("u").await;
        let resource = |name, operation, value: Option<&'static str>| {
            let config = AlterableConfig::default()
                .with_name(StrBytes::from_static_str("cleanup.policy"))
                .with_config_operation(operation)
                .with_value(value.map(StrBytes::from_static_str));
            AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(StrBytes::from_static_str(name))
                .with_configs(vec![config])
        };
        let resources = vec![
            resource("t", 2, Some("compact")),
            resource("u", 9, Some("x")),
            resource("none", 1, None),
        ];
        let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
        let response = respond(&world.admin, 1, request).await;
        let codes: Vec<_> = response
            .responses
            .iter()
            .map(|r| ErrorCode::from_code(r.error_code))
            .collect();
        assert_eq!(
            codes,
            [
                ErrorCode::None,
                ErrorCode::InvalidRequest,
                ErrorCode::UnknownTopicOrPartition
            ]
        );
        assert!(
            world
                .znode("/config/topics/t")
                .unwrap()
                .contains(r#""cleanup.policy":"delete,compact""#)
        );
        for version in 0..=1 {
            Response::of(&response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }
}
