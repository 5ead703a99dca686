//! Decodes the body of one message from bytes that a peer sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use kafka_protocol::protocol::Decodable;

use super::sceptical;

/// An error in bytes that a peer sent: they do not match their header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The request header cannot be decoded.
    #[error("unreadable header: {0}")]
    Header(String),
    /// No Kafka 3.9 broker with ZooKeeper serves this API key.
    #[error("unknown api key {0}")]
    UnknownApiKey(i16),
    /// The version is outside the range of its API.
    #[error("version {version} of {api} is not served")]
    UnsupportedVersion {
        /// Name of the API.
        api: &'static str,
        /// The requested version.
        version: i16,
    },
    /// The body cannot be decoded.
    #[error("unreadable body of {message} version {version}: {reason}")]
    Body {
        /// The message's struct.
        message: &'static str,
        /// The version of the message.
        version: i16,
        /// The decoder's error.
        reason: String,
    },
}

/// The reason of a [`DecodeError::Body`] when kafka-protocol has panicked.
pub(super) const DECODER_PANICKED: &str = "the decoder panicked";

/// The name of a message's struct without its path.
pub(super) fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

/// Decodes one message. As in Kafka, bytes after it are ignored: librdkafka up to 2.x sends Metadata 11 and 12 with a
/// field that those versions no longer have.
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
