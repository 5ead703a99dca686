//! The wire protocol: frames, headers, message bodies, the table of served APIs. It converts between bytes and values
//! and uses no sockets. Only this layer and `record` may use the crate `kafka-protocol`; all others use
//! `protocol::messages`. Kafka 3.9: `ApiKeys`, `RequestHeader`, `AbstractRequest`, `ByteBufferAccessor`.

pub mod api_table;
mod body;
pub mod codec;
pub mod fetch_response;
pub mod frame;
pub mod response;
mod sceptical;

pub use api_table::{ApiKey, Request};
pub use response::{Chunk, Response};

/// Kafka's requests and responses, one struct for each.
pub use kafka_protocol::messages;
use kafka_protocol::protocol::{Encodable, HeaderVersion};
/// The traits and the text type that the messages use.
pub use kafka_protocol::protocol::{Request as WireRequest, StrBytes};

/// A message that can be encoded as a response.
pub trait WireResponse: Encodable + HeaderVersion {}

impl<T: Encodable + HeaderVersion> WireResponse for T {}

/// Text in the type that messages use.
pub fn wire_text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}
