//! Why an administrator's wish was not fulfilled: the code for the client and what to tell it.
//! Kafka 3.9: `ApiError`.

use crate::common::error::ErrorCode;
use crate::config::ConfigError;
use crate::zk::ZkError;

/// A code of Kafka's and, unless the code says it all, a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {}", message.as_deref().unwrap_or("no details"))]
pub struct AdminError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: Option<String>,
}

impl AdminError {
    /// A code with a sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }
}

/// A code that says it all.
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

/// What ZooKeeper refuses without a reason of ours is unexpected, here as in Kafka.
impl From<ZkError> for AdminError {
    fn from(error: ZkError) -> Self {
        Self::new(ErrorCode::UnknownServerError, error.to_string())
    }
}
