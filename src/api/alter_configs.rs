//! AlterConfigs, versions 0-2: a resource's settings replaced as a whole. Deprecated, but old tools use it.
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

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::AlterConfigs,
    0..=2,
    &[
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
    ],
);

/// Alters topics, this broker and the default of all brokers; on any broker, controller or not.
pub async fn handle(api: &Api, _: &RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse {
    respond(&api.admin, api.config.broker_id, request).await
}

async fn respond(
    admin: &AdminManager,
    own_id: BrokerId,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let times = occurrences(
        request
            .resources
            .iter()
            .map(|r| (r.resource_type, r.resource_name.clone())),
    );
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let (kind, name) = (resource.resource_type, resource.resource_name);
        let settings = resource.configs.into_iter();
        let settings = settings.map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())));
        let alteration = ConfigAlteration::Replace(settings.collect());
        let outcome = match ConfigResource::to_replace(kind, &name, own_id) {
            _ if times[&(kind, name.clone())] > 1 => Err(occurs_twice()),
            Ok(resource) => {
                admin
                    .alter_configs(&resource, &alteration, request.validate_only)
                    .await
            }
            Err(error) => Err(error),
        };
        let (code, message) = outcome_fields(outcome);
        let response = AlterConfigsResourceResponse::default()
            .with_resource_type(kind)
            .with_resource_name(name)
            .with_error_code(code)
            .with_error_message(message);
        responses.push(response);
    }
    AlterConfigsResponse::default().with_responses(responses)
}

/// How often each resource occurs in a request.
pub(super) fn occurrences(resources: impl Iterator<Item = (i8, StrBytes)>) -> HashMap<(i8, StrBytes), usize> {
    let mut times = HashMap::new();
    for resource in resources {
        *times.entry(resource).or_default() += 1;
    }
    times
}

pub(super) fn occurs_twice() -> AdminError {
    AdminError::new(
        ErrorCode::InvalidRequest,
        "Each resource must appear at most once.",
    )
}

/// Code and message of a response.
pub(super) fn outcome_fields(outcome: Result<(), AdminError>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(error) => (error.code.code(), error.message.map(StrBytes::from_string)),
    }
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
