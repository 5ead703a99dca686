//! What a client may do with a resource, as a field of bits (KIP-430). Kafka 3.9: `AuthHelper.authorizedOperations`.
//!
//! Without an authorizer every client may do everything that the resource's type has.

use crate::common::acl::ResourceType;

/// The client did not ask.
pub const NOT_ASKED: i32 = i32::MIN;
/// On the cluster.
pub const ON_CLUSTER: i32 = ResourceType::Cluster.operation_bits();
/// On a topic.
pub const ON_TOPIC: i32 = ResourceType::Topic.operation_bits();
/// On a consumer group.
pub const ON_GROUP: i32 = ResourceType::Group.operation_bits();
