//! What a client may do with a resource, as a field of bits (KIP-430). Kafka 3.9:
//! `AuthHelper.authorizedOperations`, `AclEntry.supportedOperations`.
//!
//! Without an authorizer everybody may do everything that a resource supports.

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// The client did not ask.
pub const NOT_ASKED: i32 = i32::MIN;
/// On the cluster.
pub const ON_CLUSTER: i32 =
    CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE;
/// On a topic.
pub const ON_TOPIC: i32 =
    READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// On a consumer group.
pub const ON_GROUP: i32 = READ | DELETE | DESCRIBE;
