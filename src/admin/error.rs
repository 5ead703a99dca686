//! Defines the error of an administrative request: the code and the message for the client. Kafka 3.9: `ApiError`.

use crate::common::error::ErrorCode;
use crate::config::ConfigError;
use crate::zk::ZkError;

/// One of Kafka's codes, with a message unless the code is enough.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or("no details"))]
pub struct AdminError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: Option<String>,
}

impl AdminError {
    /// An error with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }
}

/// An error without a message.
impl From<ErrorCode> for AdminError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}

impl From<ConfigError> for AdminError {
    fn from(error: ConfigError) -> Self {
        Self::new(ErrorCode::InvalidConfig, error.on_the_wire())
    }
}

/// A ZooKeeper error that the caller did not translate becomes an unexpected error, as in Kafka.
impl From<ZkError> for AdminError {
    fn from(error: ZkError) -> Self {
        Self::new(ErrorCode::UnknownServerError, error.to_string())
    }
}
