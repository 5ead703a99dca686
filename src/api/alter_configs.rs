//! AlterConfigs (33): replaces all settings of a resource. Deprecated, but old tools use it.
//! Kafka 3.9: `KafkaApis.handleAlterConfigsRequest`.

use std::collections::HashMap;

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::admin::{AdminError, AdminManager, ConfigAlteration, ConfigResource};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use crate::protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

/// The checks of both ways to alter configurations.
pub(super) const CHECKS: &[Check] = &[
    Check::when(
        When::TopicConfigs,
        &[Right(AclOperation::AlterConfigs, Resource::Topic)],
        Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
    ),
    Check::when(
        When::OtherConfigs,
        &[Right(AclOperation::AlterConfigs, Resource::Cluster)],
        Refusal::Entry(ErrorCode::ClusterAuthorizationFailed),
    ),
];

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(ApiKey::AlterConfigs, 0..=2, CHECKS);

/// Alters topics, this broker and the default of all brokers; on any broker, controller or not.
pub async fn handle(api: &Api, _: &RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse {
    respond(&api.admin, api.config.broker_id, request).await
}

async fn respond(
    admin: &AdminManager,
    own_id: BrokerId,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let wanted = request.resources.into_iter().map(|resource| {
        let settings = resource.configs.into_iter();
        let settings = settings.map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())));
        let alteration = ConfigAlteration::Replace(settings.collect());
        WantedAlteration {
            resource: ConfigResource::to_replace(resource.resource_type, &resource.resource_name, own_id),
            alteration: Ok(alteration),
            kind: resource.resource_type,
            name: resource.resource_name,
        }
    });
    let outcomes = alter_each(admin, wanted.collect(), request.validate_only).await;
    let responses = outcomes.into_iter().map(|outcome| {
        AlterConfigsResourceResponse::default()
            .with_resource_type(outcome.kind)
            .with_resource_name(outcome.name)
            .with_error_code(outcome.code)
            .with_error_message(outcome.message)
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

/// What a request wants of one resource.
pub(super) struct WantedAlteration {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    pub(super) resource: Result<ConfigResource, AdminError>,
    pub(super) alteration: Result<ConfigAlteration, AdminError>,
}

/// What is answered about one resource.
pub(super) struct AlterationOutcome {
    pub(super) kind: i8,
    pub(super) name: StrBytes,
    pub(super) code: i16,
    pub(super) message: Option<StrBytes>,
}

/// Alters each resource by itself. One that occurs more than once in the request is refused each time.
pub(super) async fn alter_each(
    admin: &AdminManager,
    wanted: Vec<WantedAlteration>,
    validate_only: bool,
) -> Vec<AlterationOutcome> {
    let mut times: HashMap<(i8, StrBytes), usize> = HashMap::new();
    for WantedAlteration { kind, name, .. } in &wanted {
        *times.entry((*kind, name.clone())).or_default() += 1;
    }
    let mut outcomes = Vec::with_capacity(wanted.len());
    for WantedAlteration {
        kind,
        name,
        resource,
        alteration,
    } in wanted
    {
        let outcome = match (resource, alteration) {
            _ if times[&(kind, name.clone())] > 1 => Err(AdminError::new(
                ErrorCode::InvalidRequest,
                "Each resource must appear at most once.",
            )),
            (Ok(resource), Ok(alteration)) => {
                admin.alter_configs(&resource, &alteration, validate_only).await
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        let (code, message) = match outcome {
            Ok(()) => (ErrorCode::None, None),
            Err(error) => (error.code, error.message.map(StrBytes::from_string)),
        };
        outcomes.push(AlterationOutcome {
            kind,
            name,
            code: code.code(),
            message,
        });
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::protocol::Response;
    use crate::protocol::messages::alter_configs_request::{AlterConfigsResource, AlterableConfig};

    #[tokio::test]
    async fn a_resource_is_altered_or_refused_by_itself() {
        let world = World::new().await;
        world.topic_exists("t").await;
        world.topic_exists("u").await;
        let resource = |kind, name, value| {
            let config = AlterableConfig::default()
                .with_name(StrBytes::from_static_str("retention.ms"))
                .with_value(Some(StrBytes::from_static_str(value)));
            AlterConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(StrBytes::from_static_str(name))
                .with_configs(vec![config])
        };
        let resources = vec![
            resource(2, "t", "5"),
            resource(2, "none", "5"),
            resource(2, "u", "6"),
            resource(2, "u", "7"),
            resource(8, "1", "8"),
        ];
        let request = AlterConfigsRequest::default().with_resources(resources);
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
                ErrorCode::UnknownTopicOrPartition,
                ErrorCode::InvalidRequest,
                ErrorCode::InvalidRequest,
                ErrorCode::InvalidRequest,
            ]
        );
        assert!(
            world
                .znode("/config/topics/t")
                .unwrap()
                .contains(r#""retention.ms":"5""#)
        );
        assert!(!world.znode("/config/topics/u").unwrap().contains("retention"));
        for version in 0..=2 {
            Response::of(&response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }
}
