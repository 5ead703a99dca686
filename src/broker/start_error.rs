//! The errors that prevent a broker from starting.

use crate::log::LogDirsError;
use crate::network::{BindError, SecurityError};
use crate::zk::ZkError;
use crate::zk::registration::RegistrationError;

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// ZooKeeper is unreachable or refused a request.
    #[error("ZooKeeper at {connect}: {error}")]
    ZooKeeper {
        /// `zookeeper.connect`.
        connect: String,
        /// The error from ZooKeeper.
        error: ZkError,
    },
    /// The log dirs belong to another broker or cluster, or contradict each other.
    #[error("{0}")]
    Identity(String),
    /// The log dirs cannot be used.
    #[error(transparent)]
    Log(#[from] LogDirsError),
    /// A listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The settings of TLS or SASL cannot be used.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// Another broker has this broker's id or address.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// Loading the logs panicked.
    #[error("loading the logs failed: {0}")]
    Loading(String),
}
