//! L1. The wire: frames, headers, message bodies, the table of served APIs. Bytes in, values out: no sockets.
//! With `record`, the only layer that may touch the crate `kafka-protocol`; all others say `protocol::messages`.
//! Kafka 3.9: `ApiKeys`, `RequestHeader`, `AbstractRequest`, `ByteBufferAccessor`.

pub mod codec;
pub mod frame;
mod sceptical;

/// Kafka's requests and responses, one struct each.
pub use kafka_protocol::messages;
/// The traits and text type that the messages are written with.
pub use kafka_protocol::protocol::{Request as WireRequest, StrBytes};
