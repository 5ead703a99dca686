//! DescribeConfigs (32): the settings of topics and brokers. Kafka 3.9: `ConfigHelper.handleDescribeConfigsRequest`.

use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::admin::{AdminManager, ConfigEntry, ConfigResource};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::BrokerId;
use crate::protocol::ApiKey;
use crate::protocol::StrBytes;
use crate::protocol::messages::describe_configs_request::DescribeConfigsResource;
use crate::protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeConfigs,
    0..=4,
    &[
        Check::when(
            When::TopicConfigs,
            &[Right(AclOperation::DescribeConfigs, Resource::Topic)],
            Refusal::Entry(ErrorCode::TopicAuthorizationFailed),
        ),
        Check::when(
            When::OtherConfigs,
            &[Right(AclOperation::DescribeConfigs, Resource::Cluster)],
            Refusal::Entry(ErrorCode::ClusterAuthorizationFailed),
        ),
    ],
);

/// Describes topics, this broker, the default of all brokers, and the log levels of the process.
pub async fn handle(
    api: &Api,
    _: &RequestContext,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    respond(&api.admin, api.config.broker_id, request).await
}

async fn respond(
    admin: &AdminManager,
    own_id: BrokerId,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let mut results = Vec::with_capacity(request.resources.len());
    for resource in &request.resources {
        let outcome =
            match ConfigResource::to_describe(resource.resource_type, &resource.resource_name, own_id) {
                Ok(parsed) => admin.describe_configs(&parsed).await,
                Err(error) => Err(error),
            };
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        results.push(match outcome {
            Ok(entries) => {
                let entries = entries.into_iter().filter(|entry| is_wanted(resource, entry));
                result.with_configs(entries.map(|entry| config(entry, &request)).collect())
            }
            Err(error) => result.with_error_code(error.code.code()).with_error_message(Some(
                error
                    .message
                    .map_or_else(StrBytes::default, StrBytes::from_string),
            )),
        });
    }
    DescribeConfigsResponse::default().with_results(results)
}

/// A request without a list of keys, or with an empty one, asks for all keys.
fn is_wanted(resource: &DescribeConfigsResource, entry: &ConfigEntry) -> bool {
    match resource.configuration_keys.as_deref() {
        None | Some([]) => true,
        Some(keys) => keys.iter().any(|key| **key == *entry.name),
    }
}

/// Version 0 has a flag where later versions have the source. Kafka leaves the flag false.
fn config(entry: ConfigEntry, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let documentation = entry.documentation.filter(|_| request.include_documentation);
    let synonyms = entry
        .synonyms
        .into_iter()
        .filter(|_| request.include_synonyms)
        .map(|synonym| {
            DescribeConfigsSynonym::default()
                .with_name(StrBytes::from_string(synonym.name))
                .with_value(synonym.value.map(StrBytes::from_string))
                .with_source(synonym.source as i8)
        });
    DescribeConfigsResourceResult::default()
        .with_synonyms(synonyms.collect())
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
        .with_config_type(entry.kind.map_or(0, |kind| kind as i8))
        .with_documentation(documentation.map(StrBytes::from_static_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::World;
    use crate::common::error::ErrorCode;
    use crate::protocol::Response;

    fn resource(kind: i8, name: &'static str) -> DescribeConfigsResource {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(StrBytes::from_static_str(name))
            .with_configuration_keys(None)
    }

    #[tokio::test]
    async fn resources_are_described_each_by_itself() {
        let world = World::new().await;
        world.topic_exists("t").await;
        let keys = ["retention.ms", "no.such.key"]
            .map(StrBytes::from_static_str)
            .to_vec();
        let resources = vec![
            resource(2, "t"),
            resource(2, "t").with_configuration_keys(Some(keys)),
            resource(2, "none"),
            resource(4, "1"),
            resource(4, "2"),
            resource(4, "").with_configuration_keys(Some(vec![])),
            resource(8, "1").with_configuration_keys(Some(vec![StrBytes::from_static_str("root")])),
        ];
        let request = DescribeConfigsRequest::default().with_resources(resources);
        let response = respond(&world.admin, 1, request.clone()).await;
        let shape: Vec<_> = response
            .results
            .iter()
            .map(|r| (ErrorCode::from_code(r.error_code), r.configs.len()))
            .collect();
        assert_eq!(
            shape,
            [
                (ErrorCode::None, 36),
                (ErrorCode::None, 1),
                (ErrorCode::UnknownTopicOrPartition, 0),
                (ErrorCode::None, 314),
                (ErrorCode::InvalidRequest, 0),
                (ErrorCode::None, 0),
                (ErrorCode::None, 1),
            ]
        );
        let retention = &response.results[1].configs[0];
        assert_eq!(retention.value.as_deref(), Some("604800000"));
        assert_eq!((retention.config_source, retention.config_type), (5, 5));
        assert!(retention.synonyms.is_empty());
        let documented = request.clone().with_include_documentation(true);
        let documented = respond(&world.admin, 1, documented).await;
        for (index, count) in [(0, 36), (3, 314)] {
            let has_words =
                |c: &&DescribeConfigsResourceResult| c.documentation.as_ref().is_some_and(|d| !d.is_empty());
            assert_eq!(
                documented.results[index].configs.iter().filter(has_words).count(),
                count
            );
            assert_eq!(
                response.results[index].configs.iter().filter(has_words).count(),
                0
            );
        }
        let request = request.with_include_synonyms(true);
        for version in 0..=4 {
            let response = respond(&world.admin, 1, request.clone()).await;
            let broker = &response.results[3].configs;
            let of = |name: &str| broker.iter().find(|c| &*c.name == name).unwrap();
            assert_eq!(of("broker.id").synonyms.len(), 2);
            assert!(!of("broker.id").is_default);
            assert!(!of("broker.rack").is_default, "as in Kafka");
            Response::of(&response, version, 1).unwrap_or_else(|e| panic!("version {version}: {e}"));
        }
    }
}
