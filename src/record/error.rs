//! The errors of reading and validating records, with Kafka's code for each. Kafka 3.9: `InvalidRecordException`,
//! `RecordValidationException` and related classes.

use super::compression::{DecompressError, UnknownCompression};
use crate::common::error::ErrorCode;

/// A batch whose header is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt batch at byte {position}: {reason}")]
pub struct BatchError {
    /// Its position, counted from the start of the iteration.
    pub position: u64,
    /// The problem.
    pub reason: String,
}

impl BatchError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            position: 0,
            reason: reason.into(),
        }
    }

    pub(crate) fn at(self, position: usize) -> Self {
        Self {
            position: position as u64,
            ..self
        }
    }
}

/// Invalid records inside a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The layout of the records is wrong.
    #[error("{0}")]
    Invalid(String),
    /// A checksum is wrong.
    #[error("{0}")]
    Corrupt(String),
    /// The unpacked records exceed the reader's limit.
    #[error("the records unpack to more than {0} bytes")]
    TooLarge(usize),
    /// The codec is unknown.
    #[error(transparent)]
    UnknownCompression(#[from] UnknownCompression),
}

impl RecordError {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// The code for the producer. Bytes that cannot be unpacked are invalid, not corrupt: the batch's own checksum was
    /// right, so sending the batch again would not help. (Kafka answers UNKNOWN_SERVER_ERROR, as it does for an unknown
    /// codec.)
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidRecord,
            Self::Corrupt(_) => ErrorCode::CorruptMessage,
            Self::TooLarge(_) => ErrorCode::MessageTooLarge,
            Self::UnknownCompression(_) => ErrorCode::UnsupportedCompressionType,
        }
    }
}

impl From<DecompressError> for RecordError {
    fn from(error: DecompressError) -> Self {
        match error {
            DecompressError::TooLarge(limit) => Self::TooLarge(limit),
            DecompressError::Corrupt(reason) => Self::Invalid(reason),
        }
    }
}

/// Why a batch is refused: the code for the client, a message, and the records at fault (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct InvalidRecords {
    /// Kafka's code.
    pub code: ErrorCode,
    /// The message, as text for people.
    pub message: String,
    /// Records that were refused individually: index in the batch and reason. If there are very many, only the first of
    /// them.
    pub record_errors: Vec<(i32, String)>,
}

impl InvalidRecords {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            record_errors: Vec::new(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRecord, message)
    }
}

impl From<BatchError> for InvalidRecords {
    fn from(error: BatchError) -> Self {
        Self::new(ErrorCode::CorruptMessage, error.reason)
    }
}

impl From<RecordError> for InvalidRecords {
    fn from(error: RecordError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
