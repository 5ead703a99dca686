//! The wire protocol: frames, headers, message bodies, the table of served APIs. Bytes in, values out: no sockets.
//! With `record`, the only layer that may touch the crate `kafka-protocol`; all others say `protocol::messages`.
//! Kafka 3.9: `ApiKeys`, `RequestHeader`, `AbstractRequest`, `ByteBufferAccessor`.

pub mod api_table;
mod body;
pub mod codec;
pub mod fetch_response;
pub mod frame;
pub mod response;
mod sceptical;

pub use api_table::{ApiKey, Request};
pub use response::{Chunk, Response};

/// Kafka's requests and responses, one struct each.
pub use kafka_protocol::messages;
use kafka_protocol::protocol::{Encodable, HeaderVersion};
/// The traits and text type that the messages are written with.
pub use kafka_protocol::protocol::{Request as WireRequest, StrBytes};

/// What can be written as a response.
pub trait WireResponse: Encodable + HeaderVersion {}

impl<T: Encodable + HeaderVersion> WireResponse for T {}

/// Text as messages hold it.
pub fn wire_text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
