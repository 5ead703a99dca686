//! The trait in front of ZooKeeper. With it, all code above can run in tests without a ZooKeeper.
//!
//! There are two implementations: `session` (a real ensemble) and `memory` (a double with versions, ephemerals, multi,
//! watches and injected faults). One shared test suite runs against both.
//!
//! # Lost connections
//!
//! When a connection breaks, the answers of the operations in flight are lost; each operation may have been applied or
//! not. As in Kafka (`KafkaZkClient.retryRequestsUntilConnected`), the store sends every such operation again unchanged
//! once the session has a connection again, so callers do not see connection losses. Instead a caller may meet **its
//! own earlier write**: a `NodeExists`, `NoNode` or `BadVersion` that the first attempt caused. A caller that gets one
//! of these three must read again before it draws a conclusion: the controller's election (fact 2), every conditional
//! write of a partition's state (fact 3), a broker's registration (`cluster::register_broker` does so), a producer id
//! block. A sequential znode may be created twice, so a notification must be harmless when it is read twice. A caller
//! to which the difference does not matter, such as a recursive creation that treats `NodeExists` as success, needs no
//! second read.
//!
//! Resent operations keep their order, but an operation that starts just when the connection breaks may overtake them.
//! Writes that depend on each other must be in one multi, or the second must start after the answer to the first.

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::acl::{AclEntry, NodeAcl};
use super::znode::ZnodeError;

/// An error of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "ZooKeeper's own error names")]
pub enum ZkError {
    #[error("no such znode: {0}")]
    NoNode(String),
    #[error("znode exists: {0}")]
    NodeExists(String),
    #[error("version of {0} is not the expected one")]
    BadVersion(String),
    #[error("znode has children: {0}")]
    NotEmpty(String),
    /// The store was closed while the operation was in flight. The operation may have been applied or not.
    #[error("connection to ZooKeeper lost")]
    ConnectionLoss,
    /// There is no session. The operation may have been applied in the session that ended. Callers must do everything
    /// again after [`WatchKind::SessionEstablished`].
    #[error("ZooKeeper session expired")]
    SessionExpired,
    #[error("not authorized: {0}")]
    NoAuth(String),
    /// The znode exists, but its data cannot be read.
    #[error("data of {path}: {error}")]
    Malformed { path: String, error: ZnodeError },
    /// `zookeeper.connect` is invalid.
    #[error("zookeeper.connect {connect:?}: {reason}")]
    InvalidConnectString { connect: String, reason: String },
    /// The settings of a secured ZooKeeper cannot be used. The text is Kafka's.
    #[error("{0}")]
    Security(String),
    /// ZooKeeper does not accept the identity. The text is that of ZooKeeper's client.
    #[error("KeeperErrorCode = AuthFailed for {0}")]
    AuthFailed(String),
    /// The session has no identity that could own a znode. The text is that of ZooKeeper's client.
    #[error("KeeperErrorCode = InvalidACL for {0}")]
    InvalidAcl(String),
    /// The first connection was not made in time.
    #[error("no connection to ZooKeeper at {servers} within {timeout_ms} ms: {reason}")]
    Unreachable {
        servers: String,
        timeout_ms: u64,
        reason: String,
    },
    /// The server does not know a request that barnabas needs; ZooKeeper has it since 3.5.
    #[error("ZooKeeper at {servers} is older than 3.5")]
    TooOld { servers: String },
    #[error("ZooKeeper: {0}")]
    Other(String),
}

/// How a znode is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own mode names")]
pub enum CreateMode {
    Persistent,
    PersistentSequential,
    Ephemeral,
}

/// ZooKeeper's metadata of a znode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Transaction that created the znode; for a registration this is the broker epoch.
    pub czxid: i64,
    /// Transaction that last changed its data.
    pub mzxid: i64,
    /// When it was created, milliseconds since 1970.
    pub ctime_ms: i64,
    /// How often its data changed.
    pub version: i32,
    /// The session that owns it; 0 if it is persistent.
    pub ephemeral_owner: i64,
}

/// One write of a multi. `version: None` means any.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own operations")]
pub enum ZkOp {
    Create {
        path: String,
        data: Bytes,
        mode: CreateMode,
    },
    SetData {
        path: String,
        data: Bytes,
        version: Option<i32>,
    },
    Delete {
        path: String,
        version: Option<i32>,
    },
    Check {
        path: String,
        version: i32,
    },
}

impl ZkOp {
    /// The path of the znode; for a sequential znode, the prefix of its path.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::SetData { path, .. }
            | Self::Delete { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    /// The data that the write stores.
    pub fn data(&self) -> &[u8] {
        match self {
            Self::Create { data, .. } | Self::SetData { data, .. } => data,
            Self::Delete { .. } | Self::Check { .. } => &[],
        }
    }
}

/// The result of one write of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each operation")]
pub enum ZkOpResult {
    /// The path as created (a sequential one has its number).
    Created {
        path: String,
        stat: Stat,
    },
    Set {
        stat: Stat,
    },
    Deleted,
    Checked,
}

/// Why a multi was refused. None of its operations was applied, unless `error` is a connection loss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error} (operation {index} of a multi)")]
pub struct MultiError {
    /// The first operation that failed; 0 when the whole multi failed.
    pub index: usize,
    /// Its error.
    pub error: ZkError,
}

/// An event of a watch or of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The znode; empty for events of the session.
    pub path: String,
    /// What happened.
    pub kind: WatchKind,
}

/// Kinds of [`WatchEvent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "ZooKeeper's own event names")]
pub enum WatchKind {
    NodeCreated,
    NodeDeleted,
    NodeDataChanged,
    NodeChildrenChanged,
    /// The session is gone, and with it all its ephemeral znodes and watches.
    SessionExpired,
    /// A new session has replaced an expired one. Callers must register and read everything again.
    SessionEstablished,
}

/// Data and stat of many znodes; `None` for a znode that does not exist.
pub type Znodes = Vec<Option<(Bytes, Stat)>>;

/// The operations that barnabas needs from ZooKeeper. Paths are below the chroot.
///
/// Callers may start several operations without waiting: the operations are pipelined and applied in order. An
/// operation is in flight as soon as its method is called; dropping the future does not cancel it. `watch: true` arms a
/// one-shot watch whose event goes to every subscriber; arming the same path twice is harmless. Only the next read arms
/// a watch again, so a caller must always read again after an event (fact 7). An event may come twice or without a
/// change; none is lost while the session lives.
///
/// While there is no session, from [`WatchKind::SessionExpired`] to [`WatchKind::SessionEstablished`], every operation
/// fails with [`ZkError::SessionExpired`]. While the session only has no connection, operations wait.
pub trait ZkStore: Send + Sync + 'static {
    /// Data and stat; `None` if there is no such znode (a watch then waits for its creation).
    fn get(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<(Bytes, Stat)>, ZkError>>;
    /// [`ZkStore::get`] for many znodes that are not watched, in the order of `paths`.
    fn get_all(&self, paths: Vec<String>) -> BoxFuture<'static, Result<Znodes, ZkError>>;
    /// The stat; `None` if there is no such znode (a watch then waits for its creation).
    fn exists(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Stat>, ZkError>>;
    /// Names of the children, sorted; `None` if there is no such znode (then nothing is watched).
    fn children(&self, path: &str, watch: bool) -> BoxFuture<'static, Result<Option<Vec<String>>, ZkError>>;
    /// Creates a znode; the parent must exist.
    fn create(
        &self,
        path: &str,
        data: Bytes,
        mode: CreateMode,
    ) -> BoxFuture<'static, Result<(String, Stat), ZkError>>;
    /// Replaces the data.
    fn set(&self, path: &str, data: Bytes, version: Option<i32>)
    -> BoxFuture<'static, Result<Stat, ZkError>>;
    /// Deletes a znode without children.
    fn delete(&self, path: &str, version: Option<i32>) -> BoxFuture<'static, Result<(), ZkError>>;
    /// Who may do what; `None` if there is no such znode.
    fn acl(&self, path: &str) -> BoxFuture<'static, Result<Option<Vec<AclEntry>>, ZkError>>;
    /// Replaces the access control list. The restricted kinds belong to the identities of this session.
    fn set_acl(&self, path: &str, acl: NodeAcl) -> BoxFuture<'static, Result<(), ZkError>>;
    /// All or nothing.
    fn multi(&self, ops: Vec<ZkOp>) -> BoxFuture<'static, Result<Vec<ZkOpResult>, MultiError>>;
    /// The id of the current session, which owns the ephemerals that are created now.
    fn session_id(&self) -> i64;
    /// Every event from now on.
    fn subscribe(&self) -> mpsc::UnboundedReceiver<WatchEvent>;
}
