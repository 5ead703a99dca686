//! L1. The wire: frames, headers, message bodies, the table of served APIs.
//! With `record`, the only layer that may touch the crate `kafka-protocol`; all others say `protocol::messages`.

/// Kafka's requests and responses, one struct each.
pub use kafka_protocol::messages;
/// The traits and text type that the messages are written with.
pub use kafka_protocol::protocol::{Request as WireRequest, StrBytes};
