//! What can go wrong with a log: one error for appends, which answers a client, one for everything else that is
//! done to a log, and one for log dirs that a broker cannot start with.

use crate::common::error::ErrorCode;
use crate::common::ids::{Offset, TopicId};

/// The state of a log that has not been read yet.
const UNKNOWN_OFFSET: Offset = -1;

/// Why nothing was appended: the code for the client and what to tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AppendError {
    /// Kafka's code. [`ErrorCode::KafkaStorageError`] means that the log dir has gone offline.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// Records refused one by one: index in the batch and why (KIP-467).
    pub record_errors: Vec<(i32, String)>,
    /// Where the log begins that has refused the records; -1 if they did not come so far.
    pub log_start_offset: Offset,
}

impl AppendError {
    /// An error about the append as a whole.
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
    /// Before the start or beyond the end (or beyond the high watermark, for a truncation by a reader).
    #[error("offset {offset} is outside [{start}, {end}]")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// Log start offset.
        start: Offset,
        /// Log end offset.
        end: Offset,
    },
    /// I/O failed and the log dir is offline from now on, or the log was closed or deleted meanwhile.
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

/// Why the log dirs cannot be opened. A person must act before the broker can start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogDirsError(pub String);
