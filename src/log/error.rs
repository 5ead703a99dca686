//! The errors of a log: one for appends, which answers a client; one for all other operations on a log; and one for log
//! dirs with which a broker cannot start.

use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId};

/// The log start offset of a log that has not been read yet.
const UNKNOWN_OFFSET: Offset = -1;

/// Why an append was refused: the code and the message for the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AppendError {
    /// Kafka's code. [`ErrorCode::KafkaStorageError`] means that the log dir has gone offline.
    pub code: ErrorCode,
    /// The message, as text for people.
    pub message: String,
    /// Records that were refused individually: index in the batch and reason (KIP-467).
    pub record_errors: Vec<(i32, String)>,
    /// The start offset of the log that refused the records; -1 if the records did not reach the log.
    pub log_start_offset: Offset,
}

impl AppendError {
    /// An error of the whole append.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            record_errors: Vec::new(),
            log_start_offset: UNKNOWN_OFFSET,
        }
    }
}

impl From<LogError> for AppendError {
    fn from(error: LogError) -> Self {
        let code = match &error {
            LogError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            LogError::Storage { .. } => ErrorCode::KafkaStorageError,
            LogError::InconsistentTopicId { .. } => ErrorCode::InconsistentTopicId,
        };
        Self::new(code, error.to_string())
    }
}

/// Why a log could not be read, truncated or created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The offset is before the start or beyond the end (or beyond the high watermark, for a truncation by a reader).
    #[error("offset {offset} is outside [{start}, {end}]")]
    OffsetOutOfRange {
        /// The requested offset.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// I/O failed and the log dir is offline from now on, or the log was closed or deleted in the meantime.
    #[error("log dir {dir}: {reason}")]
    Storage {
        /// The log dir.
        dir: String,
        /// The first error.
        reason: String,
    },
    /// The partition's directory belongs to another incarnation of the topic.
    #[error("topic id {found} on disk, {expected} expected")]
    InconsistentTopicId {
        /// In `partition.metadata`.
        found: TopicId,
        /// In the request.
        expected: TopicId,
    },
}

/// Why the log dirs cannot be opened. An operator must act before the broker can start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogDirsError(pub String);
