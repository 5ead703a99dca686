//! Why records cannot be read or may not be appended, with Kafka's code for it.
//! Kafka 3.9: `InvalidRecordException`, `RecordValidationException` and their neighbours.

use super::compression::{DecompressError, UnknownCompression};
use crate::common::error::ErrorCode;

/// A batch that cannot be what it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt batch at byte {position}: {reason}")]
pub struct BatchError {
    /// Where it starts, counted from the start of the walk.
    pub position: u64,
    /// What is wrong with it.
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

/// Records inside a batch that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They are not laid out as records are.
    #[error("{0}")]
    Invalid(String),
    /// A checksum does not fit.
    #[error("{0}")]
    Corrupt(String),
    /// They unpack to more than the reader was ready to hold.
    #[error("the records unpack to more than {0} bytes")]
    TooLarge(usize),
    /// The codec has no name.
    #[error(transparent)]
    UnknownCompression(#[from] UnknownCompression),
}

impl RecordError {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// What a producer is told. Bytes that do not unpack are called invalid, not corrupt: the batch's own checksum
    /// held, so sending it again would not help. (Kafka says UNKNOWN_SERVER_ERROR, as it does for an unknown codec.)
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

/// Why a batch is not appended: the code for the client, a sentence, and the records to blame (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct InvalidRecords {
    /// Kafka's code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Records refused one by one: index in the batch and why. Only the first of them if there are very many.
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
