//! The body of one message, decoded from bytes that a peer sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use kafka_protocol::protocol::Decodable;

use super::sceptical;

/// Bytes that are not what their header says they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No request header.
    #[error("unreadable header: {0}")]
    Header(String),
    /// A key that no Kafka 3.9 broker with ZooKeeper serves.
    #[error("unknown api key {0}")]
    UnknownApiKey(i16),
    /// A version outside of the range of its API.
    #[error("version {version} of {api} is not served")]
    UnsupportedVersion {
        /// Name of the API.
        api: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// The body of a message.
    #[error("unreadable body of {message} version {version}: {reason}")]
    Body {
        /// The message's struct.
        message: &'static str,
        /// Its version.
        version: i16,
        /// Where it ended to make sense.
        reason: String,
    },
}

/// The reason of a [`DecodeError::Body`] that kafka-protocol has panicked over.
pub(super) const DECODER_PANICKED: &str = "the decoder panicked";

/// The name of a message's struct without its path.
pub(super) fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// Decodes one message. What follows it is ignored, as Kafka does: librdkafka up to 2.x sends Metadata 11 and 12
/// with a field that those versions no longer have.
pub(super) fn decode_body<T: Decodable>(
    mut bytes: Bytes,
    version: i16,
    flexible: bool,
) -> Result<T, DecodeError> {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        sceptical::decode::<T>(&mut bytes, version, flexible)
    }));
    let reason = match decoded {
        Ok(Ok(message)) => return Ok(message),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => DECODER_PANICKED.to_string(),
    };
    Err(DecodeError::Body {
        message: short_name::<T>(),
        version,
        reason,
    })
}
