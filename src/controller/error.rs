//! Why the controller does not finish an event.

use crate::common::error::ErrorCode;
use crate::zk::ZkError;

/// Why an event was not carried out to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// A write was refused because `/controller_epoch` has changed.
    #[error("another broker is the controller now")]
    Moved,
    /// ZooKeeper failed.
    #[error(transparent)]
    Zk(#[from] ZkError),
    /// This broker does not hear of its own change of `/feature`.
    #[error("version {0} of /feature has not come back in time")]
    FeaturesNotSeen(i64),
    /// All 2^63 of them.
    #[error("there are no producer ids left")]
    ProducerIdsExhausted,
}

impl ControllerError {
    /// What a client is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Moved => ErrorCode::NotController,
            _ => ErrorCode::UnknownServerError,
        }
    }
}
