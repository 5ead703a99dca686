//! DescribeCluster (60): the brokers and the controller. Kafka 3.9: `KafkaApis.handleDescribeCluster`,
//! `AuthHelper.computeDescribeClusterResponse`.

use super::authorized_operations::{NOT_ASKED, ON_CLUSTER};
use super::declaration::{Check, Declaration, Refusal, Resource, Right, When};
use super::{Api, RequestContext};
use crate::common::acl::AclOperation;
use crate::common::error::ErrorCode;
use crate::common::ids::NO_BROKER;
use crate::metadata::MetadataSnapshot;
use crate::protocol::ApiKey;
use crate::protocol::messages::describe_cluster_response::DescribeClusterBroker;
use crate::protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};
use crate::protocol::wire_text;

/// Endpoints of brokers, the only ones in a cluster with ZooKeeper (KIP-919).
const BROKERS: i8 = 1;
/// Endpoints of KRaft controllers.
const CONTROLLERS: i8 = 2;

/// What the handler declares.
pub(super) const DECLARATION: Declaration = Declaration::built(
    ApiKey::DescribeCluster,
    0..=1,
    &[Check::when(
        When::ClusterOperations,
        &[Right(AclOperation::Describe, Resource::Cluster)],
        Refusal::Hidden,
    )],
);

/// Answers one request.
pub async fn handle(
    api: &Api,
    context: &RequestContext,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    describe(&api.metadata.snapshot(), &api.cluster_id, context, &request)
}

fn describe(
    snapshot: &MetadataSnapshot,
    cluster_id: &str,
    context: &RequestContext,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if request.endpoint_type != BROKERS {
        return refuse(request.endpoint_type, context.api_version);
    }
    let brokers: Vec<_> = snapshot
        .brokers
        .values()
        .filter_map(|broker| {
            let endpoint = broker.endpoint(&context.listener)?;
            let broker = DescribeClusterBroker::default()
                .with_broker_id(broker.id.into())
                .with_host(wire_text(&endpoint.host))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.as_deref().map(wire_text));
            Some(broker)
        })
        .collect();
    // The client could not reach a controller that is not among the brokers.
    let controller = snapshot
        .controller_id
        .filter(|id| brokers.iter().any(|b| b.broker_id == *id));
    let operations = match request.include_cluster_authorized_operations {
        true => ON_CLUSTER,
        false => NOT_ASKED,
    };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(wire_text(cluster_id))
        .with_controller_id(controller.unwrap_or(NO_BROKER).into())
        .with_brokers(brokers)
        .with_cluster_authorized_operations(operations)
}

/// Version 0 has neither of the two errors.
fn refuse(endpoint_type: i8, version: i16) -> DescribeClusterResponse {
    let (error, message) = match endpoint_type {
        CONTROLLERS => (
            ErrorCode::MismatchedEndpointType,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
                .to_string(),
        ),
        other => (
            ErrorCode::UnsupportedEndpointType,
            format!("Unsupported endpoint type {other}"),
        ),
    };
    let error = if version == 0 {
        ErrorCode::InvalidRequest
    } else {
        error
    };
    DescribeClusterResponse::default()
        .with_error_code(error.code())
        .with_error_message(Some(wire_text(&message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, SecurityProtocol};
    use crate::metadata::BrokerMetadata;
    use crate::protocol::codec;

    fn context(version: i16) -> RequestContext {
        RequestContext {
            api_version: version,
            client_id: String::new(),
            peer: ([127, 0, 0, 1], 1).into(),
            listener: "L".to_string(),
            security_protocol: crate::config::SecurityProtocol::Plaintext,
            principal: crate::security::KafkaPrincipal::anonymous(),
        }
    }

    fn snapshot(controller: i32) -> MetadataSnapshot {
        let mut snapshot = MetadataSnapshot {
            controller_id: Some(controller),
            ..MetadataSnapshot::default()
        };
        for (id, listener) in [(1, "L"), (2, "OTHER")] {
            let endpoint = Endpoint {
                listener: listener.to_string(),
                security_protocol: SecurityProtocol::Plaintext,
                host: format!("host-{id}"),
                port: 9092,
            };
            let broker = BrokerMetadata {
                id,
                endpoints: vec![endpoint],
                rack: Some("r".to_string()),
            };
            snapshot.brokers.insert(id, broker);
        }
        snapshot
    }

    #[test]
    fn the_brokers_of_the_listener_and_the_controller_among_them() {
        for version in [0, 1] {
            let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
            let response = describe(&snapshot(1), "cluster", &context(version), &request);
            assert_eq!((response.error_code, response.controller_id.0), (0, 1));
            assert_eq!(
                (&*response.cluster_id, response.cluster_authorized_operations),
                ("cluster", 8096)
            );
            assert_eq!(response.brokers.len(), 1);
            assert_eq!(
                (&*response.brokers[0].host, response.brokers[0].port),
                ("host-1", 9092)
            );
            codec::encode_response(&response, version, 1).unwrap();
            let response = describe(&snapshot(2), "cluster", &context(version), &request);
            assert_eq!(response.controller_id.0, NO_BROKER);
        }
    }

    #[test]
    fn controllers_are_elsewhere() {
        for (endpoint_type, version, error) in [
            (2, 1, ErrorCode::MismatchedEndpointType),
            (3, 1, ErrorCode::UnsupportedEndpointType),
            (2, 0, ErrorCode::InvalidRequest),
        ] {
            let request = DescribeClusterRequest::default().with_endpoint_type(endpoint_type);
            let response = describe(&snapshot(1), "cluster", &context(version), &request);
            assert_eq!(response.error_code, error.code());
            codec::encode_response(&response, version, 1).unwrap();
        }
    }
}
