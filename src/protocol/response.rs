//! A response as the pieces that a connection writes one after the other. Kafka 3.9: `Send`, `RecordsSend`.

use bytes::Bytes;

use super::WireResponse;
use super::codec::{self, EncodeError};
use crate::common::file_range::FileRange;

/// A piece of a response.
#[derive(Clone, Debug)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes in a file.
    File(FileRange),
}

impl Chunk {
    /// Number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(range) => range.length,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole frame: length prefix, header and body.
#[derive(Clone, Debug)]
pub struct Response {
    chunks: Vec<Chunk>,
}

impl Response {
    /// A response that consists of one message in memory.
    pub fn of<T: WireResponse>(message: &T, version: i16, correlation_id: i32) -> Result<Self, EncodeError> {
        let frame = codec::encode_response(message, version, correlation_id)?;
        Ok(Self {
            chunks: vec![Chunk::Bytes(frame)],
        })
    }

    /// A response made of pieces, the first of which begins with the length prefix.
    pub(super) fn of_chunks(chunks: Vec<Chunk>) -> Self {
        Self { chunks }
    }

    /// Number of bytes, length prefix included.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Chunk::len).sum()
    }

    /// The pieces in the order in which they are written.
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }
}
