//! The error of the controller: the reason why it does not finish an event.

use crate::common::error::ErrorCode;
use crate::zk::ZkError;

/// The reason why the controller does not finish an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// ZooKeeper refused a write because `/controller_epoch` has changed: another broker is the controller.
    #[error("another broker is the controller now")]
    Moved,
    /// ZooKeeper failed.
    #[error(transparent)]
    Zk(#[from] ZkError),
    /// The metadata cache of this broker does not see the controller's own change of `/feature` in time.
    #[error("version {0} of /feature has not come back in time")]
    FeaturesNotSeen(i64),
    /// All 2^63 producer ids are used up.
    #[error("there are no producer ids left")]
    ProducerIdsExhausted,
}

impl ControllerError {
    /// The error code for a client.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Moved => ErrorCode::NotController,
            _ => ErrorCode::UnknownServerError,
        }
    }
}
