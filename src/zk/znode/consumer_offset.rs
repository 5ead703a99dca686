//! `/consumers/G/offsets/T/P`: an offset as decimal text; OffsetCommit and OffsetFetch version 0 only.
//! Kafka 3.9: `ConsumerOffset`.

use bytes::Bytes;

use super::ZnodeError;
use super::json::number_text;
use crate::common::ids::Offset;

/// The text.
pub fn encode(offset: Offset) -> Bytes {
    Bytes::from(offset.to_string())
}

/// Reads the text.
pub fn decode(data: &[u8]) -> Result<Offset, ZnodeError> {
    number_text(data)
}
